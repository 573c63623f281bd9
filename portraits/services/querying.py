"""`/summaries/query`, `/count` and `/exists`: customers by what is counted of them."""

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
    return _summaries(tenant_id).filter(customer__external_id__isnull=False)


def _present(tenant_id: UUID, rows: Sequence[CurrentSummary]) -> list[dict[str, Any]]:
    """Without those whose period is over and which no purge has met yet."""
    shown = [row.customer_id for row in rows]
    over = lifecycle().summaries_over(tenant_id, shown)
    customers = Customer.objects.for_tenant(tenant_id).in_bulk(shown)
    return [
        presenters.summary(
            customers[row.customer_id], msgspec.convert(row, Interactions, from_attributes=True)
        )
        for row in rows
        if row.customer_id not in over
    ]
