"""Earlier versions of a portrait, without what has lost its evidence since."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from conversations import ids
from conversations.models import Customer
from conversations.querysets import TenantQuerySet
from portraits import presenters
from portraits.models import PortraitVersion
from portraits.portrayal import Portrayal
from portraits.services.evidence import seen_messages
from portraits.services.storage import open_summary, state_of


def versions(tenant_id: UUID, customer: Customer) -> TenantQuerySet[PortraitVersion]:
    return PortraitVersion.objects.for_tenant(tenant_id).filter(customer_id=customer.id)


def present_versions(customer: Customer, rows: Sequence[PortraitVersion]) -> list[dict[str, Any]]:
    """Versions of one portrait as the API shows them, with one query for all their evidence."""
    if not rows:
        return []
    seen = seen_messages(rows[0].tenant_id, {source for row in rows for source in row.evidence})
    now = ids.now()
    return [_shown(customer, row, seen, now) for row in rows]


def present_all(tenant_id: UUID, customer: Customer) -> Iterator[dict[str, Any]]:
    """Every version there is, for an export: also what agents do not see any more."""
    now = ids.now()
    for row in versions(tenant_id, customer).order_by("version").iterator(100):
        shown = _shown(customer, row, set(row.evidence), now)
        yield {**shown, "object": "portrait_version"}


def _shown(customer: Customer, row: PortraitVersion, seen: set[UUID], now: datetime) -> dict[str, Any]:
    summary = open_summary(row.tenant_id, PortraitVersion._meta.db_table, row.id, row.sealed_summary)
    state = state_of(row.snapshot, summary).resting_on(seen)
    portrayal = Portrayal(customer, state, row.version, row.id, row.created_at, row.created_at)
    return presenters.portrayal(portrayal, now)
