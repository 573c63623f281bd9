"""This app's holdings: where it stores what belongs to a person (`conversations.ports.Holding`)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from conversations import ids
from conversations.models import Customer, Session, Tombstone
from conversations.ports import Registry, Target
from conversations.services.holdings import messages_of
from portraits import presenters
from portraits.models import (
    InteractionSummary,
    Portrait,
    PortraitVersion,
    RefreshMark,
    SummaryDelta,
    Trait,
)
from portraits.services.history import present_all
from portraits.services.retraction import retract_versions
from portraits.services.storage import change_portrait, read_whole
from portraits.services.summaries import read_summary

Record = Mapping[str, Any]


def register(registry: Registry) -> None:
    """Register every holding of this app."""
    registry.add_holding(PortraitHolding())
    registry.add_holding(InteractionHolding())


class PortraitHolding:
    """What is known of a customer, and what of it rests on messages of the target."""

    name = "portraits"
    tables: Sequence[str] = tuple(
        model._meta.db_table for model in (Portrait, PortraitVersion, Trait, RefreshMark)
    )
    record_class = "summaries"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        if target.customer_id is not None:
            return _all_rows(tenant_id, target.customer_id)
        rests = _rests_on(tenant_id, target)
        return [
            model.objects.for_tenant(tenant_id).filter(
                rests, customer_id__in=_customers(tenant_id, target).values("customer_id")
            )
            for model in (Portrait, PortraitVersion)
        ]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        if target.customer_id is None:
            return
        customer = Customer.objects.for_tenant(tenant_id).get(id=target.customer_id)
        portrayal = read_whole(tenant_id, customer)
        if portrayal is not None:
            yield presenters.portrayal(portrayal, ids.now())
        yield from present_all(tenant_id, customer)

    def erase(self, tenant_id: UUID, target: Target) -> int:
        """Erase all of a customer; of other targets what rests on their messages, held ones (beyond use) included."""
        if target.customer_id is not None:
            _lock(tenant_id, [target.customer_id])
            return sum(rows.delete()[0] for rows in _all_rows(tenant_id, target.customer_id))
        evidence = _messages(tenant_id, target)
        spoke = _customers(tenant_id, target).values_list("customer_id", flat=True).distinct()
        customers = _lock(tenant_id, sorted(filter(None, spoke)))
        return sum(_retract(tenant_id, customer, evidence) for customer in customers)


class InteractionHolding:
    """What is counted of a customer. Of sessions and messages that end, their triggers count by themselves."""

    name = "interaction_summaries"
    tables: Sequence[str] = (InteractionSummary._meta.db_table, SummaryDelta._meta.db_table)
    record_class = "summaries"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return self._rows(tenant_id, target)

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        if target.customer_id is not None and any(rows.exists() for rows in self._rows(tenant_id, target)):
            customer = Customer.objects.for_tenant(tenant_id).get(id=target.customer_id)
            yield presenters.summary(customer, read_summary(tenant_id, customer))

    def erase(self, tenant_id: UUID, target: Target) -> int:
        if target.customer_id is not None:
            _lock(tenant_id, [target.customer_id])  # or what is being folded just now would come after us
        return sum(rows.delete()[0] for rows in self._rows(tenant_id, target))

    def _rows(self, tenant_id: UUID, target: Target) -> list[QuerySet[Any]]:
        if target.customer_id is None:
            return []
        models = (InteractionSummary, SummaryDelta)
        return [m.objects.for_tenant(tenant_id).filter(customer_id=target.customer_id) for m in models]


def _all_rows(tenant_id: UUID, customer_id: UUID) -> list[QuerySet[Any]]:
    models = (RefreshMark, Trait, PortraitVersion, Portrait)
    return [model.objects.for_tenant(tenant_id).filter(customer_id=customer_id) for model in models]


def _messages(tenant_id: UUID, target: Target) -> set[UUID]:
    """The target's messages: those that are there, and those that are remembered as gone."""
    tombstones = Tombstone.objects.for_tenant(tenant_id).filter(kind="message")
    if target.session_id is not None:
        gone = set(tombstones.filter(session_id=target.session_id).values_list("object_id", flat=True))
        return gone | set(messages_of(tenant_id, target).values_list("id", flat=True))
    return set(target.message_ids)


def _rests_on(tenant_id: UUID, target: Target) -> Q:
    """The same as a condition, not read yet."""
    if target.session_id is None:
        return Q(evidence__overlap=list(target.message_ids))
    gone = Tombstone.objects.for_tenant(tenant_id).filter(kind="message", session_id=target.session_id)
    there = messages_of(tenant_id, target)
    return Q(evidence__overlap=there.values("id")) | Q(evidence__overlap=gone.values("object_id"))


def _customers(tenant_id: UUID, target: Target) -> QuerySet[Session]:
    """The sessions with those whose messages they are, or were."""
    sessions = Session.objects.for_tenant(tenant_id).filter(customer_id__isnull=False)
    if target.session_id is not None:
        return sessions.filter(id=target.session_id)
    there = messages_of(tenant_id, target)
    gone = Tombstone.objects.for_tenant(tenant_id).filter(kind="message", object_id__in=target.message_ids)
    return sessions.filter(Q(id__in=there.values("session_id")) | Q(id__in=gone.values("session_id")))


def _lock(tenant_id: UUID, customer_ids: Sequence[UUID]) -> list[Customer]:
    """Lock customers first, by id, as all writers of their data do."""
    rows = Customer.objects.for_tenant(tenant_id).filter(id__in=customer_ids).order_by("id")
    return list(rows.select_for_update(no_key=True))


def _retract(tenant_id: UUID, customer: Customer, gone: set[UUID]) -> int:
    portraits = Portrait.objects.for_tenant(tenant_id).filter(customer_id=customer.id)
    changed = 0
    if portraits.filter(evidence__overlap=list(gone)).exists():
        changed = 1
        change_portrait(
            tenant_id=tenant_id,
            customer=customer,
            change=lambda state: state.resting_on(state.evidence - gone),
        )
    return changed + retract_versions(tenant_id, customer.id, gone)
