"""`/summaries/query`, `/count` and `/exists`: customers by their counters."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from conversations.filters import Kind
from conversations.models import Customer
from conversations.ports import lifecycle
from conversations.services.querying import Queryable, register_queryable
from portraits import presenters
from portraits.counters import Interactions
from portraits.models import CurrentSummary
from portraits.models.summaries import CurrentSummaryQuerySet


def register() -> None:
    """Called when the app is wired."""
    register_queryable(
        Kind.SUMMARIES,
        Queryable(
            visible=_visible,
            present=_present,
            columns={"customer_id": "customer__external_id"},
            indexed=frozenset(),
            cursors=_summaries,
        ),
    )


def _summaries(tenant_id: UUID) -> CurrentSummaryQuerySet:
    return CurrentSummary.objects.for_tenant(tenant_id).ordered_as_customers()


def _visible(tenant_id: UUID) -> CurrentSummaryQuerySet:
    """Summaries whose period is not over, whether or not a purge has run."""
    return _summaries(tenant_id).filter(
        lifecycle().summary_lives(tenant_id, "customer_id"), customer__external_id__isnull=False
    )


def _present(tenant_id: UUID, rows: Sequence[CurrentSummary]) -> list[dict[str, Any]]:
    customers = Customer.objects.for_tenant(tenant_id).in_bulk([row.customer_id for row in rows])
    return [
        presenters.summary(
            customers[row.customer_id], msgspec.convert(row, Interactions, from_attributes=True)
        )
        for row in rows
    ]
