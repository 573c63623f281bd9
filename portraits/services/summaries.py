"""Counters of a customer: read exactly, and set on top of a baseline."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from conversations import ids
from conversations.models import Customer, Message
from conversations.services.customers import ensure_customer, get_customer, refuse_held
from conversations.tenancy import tenant_scope
from portraits.counters import Interactions
from portraits.inputs import SummaryIn
from portraits.models import CurrentSummary, InteractionSummary

NAMED = ("intents", "languages", "channels", "outlets")


def read_summary(tenant_id: UUID, customer: Customer) -> Interactions:
    """The counters as of now, open deltas included."""
    rows = CurrentSummary.objects.for_tenant(tenant_id).filter(customer_id=customer.id)
    row = rows.values(*Interactions.__struct_fields__).first()
    return msgspec.convert(row or {}, Interactions)


def set_baseline(*, tenant_id: UUID, external_id: str, baseline: SummaryIn) -> Customer:
    """Add these counters of another system to what is counted here, in place of an earlier baseline.

    Held when a legal hold covers the customer and there is another one.
    """
    baseline.check()
    with tenant_scope(tenant_id):
        customer = ensure_customer(tenant_id, external_id)
        _rebase(tenant_id, customer, baseline)
    return customer


def drop_baseline(*, tenant_id: UUID, external_id: str) -> None:
    """Remove the baseline: only what was counted here remains. Held under a legal hold."""
    with tenant_scope(tenant_id):
        _rebase(tenant_id, get_customer(tenant_id, external_id), None)


def _rebase(tenant_id: UUID, customer: Customer, new: SummaryIn | None) -> None:
    now = ids.now()
    row = InteractionSummary(id=customer.id, tenant_id=tenant_id, customer=customer, created_at=now)
    InteractionSummary.objects.bulk_create([row], ignore_conflicts=True)
    row = InteractionSummary.objects.for_tenant(tenant_id).select_for_update().get(customer_id=customer.id)
    old = msgspec.convert(row.baseline, SummaryIn) if row.baseline is not None else SummaryIn()
    given = new or SummaryIn()
    if row.baseline is not None and given != old:
        refuse_held(customer)
    row.session_count += given.session_count - old.session_count
    row.message_count += given.message_count - old.message_count
    for name in NAMED:
        setattr(row, name, _sum(getattr(row, name), getattr(given, name), getattr(old, name)))
    row.baseline = None if new is None else msgspec.to_builtins(new)
    first, last = _span(tenant_id, customer.id)
    row.first_interaction_at = min(
        _known(first, row.purged_first_at, given.first_interaction_at), default=None
    )
    row.last_interaction_at = max(_known(last, row.purged_last_at, given.last_interaction_at), default=None)
    row.updated_at = now
    row.save()


def _sum(counted: Mapping[str, int], added: Mapping[str, int], taken: Mapping[str, int]) -> dict[str, int]:
    total = Counter(counted)
    total.update(added)
    total.subtract(taken)
    return {name: number for name, number in total.items() if number}


def _span(tenant_id: UUID, customer_id: UUID) -> tuple[datetime | None, datetime | None]:
    """When the record's first and last message of the customer came; its ids are in that order."""
    rows = Message.objects.for_tenant(tenant_id).live().filter(customer_id=customer_id)
    times: Any = rows.values_list("created_at", flat=True)
    return times.order_by("id").first(), times.order_by("-id").first()


def _known(*times: datetime | None) -> list[datetime]:
    return [at for at in times if at is not None]
