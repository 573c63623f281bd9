"""Exports and imports what the exported messages do not add up to in the counters (`conversations.ports.Transfer`)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Count, Max, Min
from msgspec import structs

from conversations.exceptions import Erased
from conversations.importing import ImportedSummary
from conversations.models import Customer, Session
from conversations.services.customers import ensure_customers, is_forgotten
from conversations.services.messages.reading import visible_messages
from portraits import presenters
from portraits.counters import Interactions
from portraits.inputs import SummaryIn
from portraits.models import CurrentSummary, InteractionSummary
from portraits.services.summaries import NAMED, set_baseline

PAGE = 500


@dataclass
class _Exported:
    """What the exported sessions and messages of one customer add up to."""

    sessions: int = 0
    messages: int = 0
    names: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in NAMED})
    first: datetime | None = None
    last: datetime | None = None


class SummaryTransfer:
    """The baseline and what was purged: added to what an import counts, they restore the counters."""

    name = "summaries"
    accepts: tuple[type, ...] = (ImportedSummary,)

    def export_records(self, tenant_id: UUID) -> Iterator[Mapping[str, Any]]:
        """One for every customer whose counters exceed what the export contains."""
        customers = Customer.objects.for_tenant(tenant_id).filter(external_id__isnull=False).order_by("id")
        rows = customers.iterator(PAGE)
        while page := list(islice(rows, PAGE)):
            counted = _counted(tenant_id, page)
            exported = _exported(tenant_id, page)
            for customer in page:
                rest = _remainder(counted.get(customer.id, Interactions()), exported[customer.id])
                if rest != Interactions() and not is_forgotten(customer):
                    yield presenters.summary(customer, rest)

    def message_ids(self, record: ImportedSummary) -> Iterable[str]:
        return ()

    def import_record(
        self, tenant_id: UUID, record: ImportedSummary, message_ids: Mapping[str, UUID]
    ) -> UUID:
        given = record.given
        customers, erased = ensure_customers(tenant_id, {given.customer_id: given.created_at})
        if erased:
            raise Erased("This customer was erased; what is older cannot come back.")
        customer = customers[given.customer_id]
        rows = InteractionSummary.objects.for_tenant(tenant_id).filter(customer=customer)
        is_own = given.id == str(customer.id)  # exported from here: all of it is counted already
        if not is_own and not rows.filter(baseline__isnull=False).exists():
            fields = {name: getattr(given, name) for name in SummaryIn.__struct_fields__}
            set_baseline(tenant_id=tenant_id, external_id=given.customer_id, baseline=SummaryIn(**fields))
        return customer.id


def _counted(tenant_id: UUID, customers: Sequence[Customer]) -> dict[UUID, Interactions]:
    rows = CurrentSummary.objects.for_tenant(tenant_id).filter(customer_id__in=[one.id for one in customers])
    return {row.customer_id: msgspec.convert(row, Interactions, from_attributes=True) for row in rows}


def _exported(tenant_id: UUID, customers: Sequence[Customer]) -> dict[UUID, _Exported]:
    """Counted as the import of an export by `export_tenant` will count."""
    exported = {customer.id: _Exported() for customer in customers}
    sessions = Session.objects.for_tenant(tenant_id).live().filter(cleared_at__isnull=True)
    columns = {"language": "languages", "channel": "channels", "outlet_id": "outlets"}
    grouped = (
        sessions.filter(customer_id__in=exported).values("customer_id", *columns).annotate(number=Count("id"))
    )
    for row in grouped.order_by():
        one = exported[row["customer_id"]]
        one.sessions += row["number"]
        for column, name in columns.items():
            if row[column] is not None:
                one.names[name][row[column]] += row["number"]
    messages = visible_messages(tenant_id).filter(customer_id__in=exported).values("customer_id", "intent")
    counted = messages.annotate(number=Count("id"), first=Min("created_at"), last=Max("created_at"))
    for row in counted.order_by():
        one = exported[row["customer_id"]]
        one.messages += row["number"]
        one.first = min(filter(None, (one.first, row["first"])))
        one.last = max(filter(None, (one.last, row["last"])))
        if row["intent"] is not None:
            one.names["intents"][row["intent"]] += row["number"]
    return exported


def _remainder(counted: Interactions, exported: _Exported) -> Interactions:
    """What has to be added to `exported` to give `counted`."""
    return structs.replace(
        counted,
        session_count=max(counted.session_count - exported.sessions, 0),
        message_count=max(counted.message_count - exported.messages, 0),
        first_interaction_at=None
        if counted.first_interaction_at == exported.first
        else counted.first_interaction_at,
        last_interaction_at=None
        if counted.last_interaction_at == exported.last
        else counted.last_interaction_at,
        **{name: dict(Counter(getattr(counted, name)) - exported.names[name]) for name in NAMED},
    )
