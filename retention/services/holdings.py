"""Retention's holdings of personal data: the archive, exports, and what an earlier case has deferred."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, F, Func, Q, QuerySet, Subquery

from conversations.models import Session, Tombstone
from conversations.ports import Holding, Registry, Target
from conversations.services.holdings import messages_of, sessions_of
from conversations.services.messages.reading import external_ids
from retention.enums import ExportKind
from retention.models import ArchiveRecord, DeferredRecords, ExportJob
from retention.services.archiving import open_record
from retention.services.exports import file_store

PAGE = 500


def register(registry: Registry) -> None:
    holdings: list[Holding] = [ArchiveHolding(), ExportHolding(), DeferredHolding()]
    for holding in holdings:
        registry.add_holding(holding)


class ArchiveHolding:
    """Messages past their period. They end in the deletion engine, under the law."""

    name = "archive"
    tables: Sequence[str] = (ArchiveRecord._meta.db_table,)
    record_class = "archive"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [archive_of(tenant_id, target)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Mapping[str, Any]]:
        for row in archive_of(tenant_id, target).order_by("id").iterator(PAGE):
            customer = external_ids(tenant_id, {row.customer_id}).get(row.customer_id)
            yield {**open_record(row, customer=customer), "archived_at": row.archived_at}

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return 0


class ExportHolding:
    """Exported files. They are about a customer as a whole, so erasing any part deletes them."""

    name = "exports"
    tables: Sequence[str] = (ExportJob._meta.db_table,)
    record_class = "messages"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [self._rows(tenant_id, target)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Mapping[str, Any]]:
        yield from ()  # copies of what the other holdings export

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return file_store.remove_exports(self._rows(tenant_id, target))

    def _rows(self, tenant_id: UUID, target: Target) -> QuerySet[ExportJob]:
        sessions = _sessions_with(tenant_id, target)
        customers = Session.objects.for_tenant(tenant_id).filter(id__in=sessions).values("customer_id")
        mine = Q(customer_id__in=customers) | Q(kind=ExportKind.TENANT)
        # Evidence with one of these conversations in it, beside those of others: it goes as a whole.
        mine |= Q(_Shows(F("manifest__sessions"), Subquery(sessions)), kind=ExportKind.EVIDENCE)
        if target.customer_id is not None:
            mine |= Q(customer_id=target.customer_id)
        return ExportJob.objects.for_tenant(tenant_id).filter(mine)


class _Shows(Func):
    """Whether a JSON array of ids has one of those that a subquery finds."""

    template = "EXISTS (SELECT FROM jsonb_array_elements_text(%(expressions)s)"
    arg_joiner = ") AS shown (id) WHERE shown.id::uuid IN "
    output_field = BooleanField()


def _sessions_with(tenant_id: UUID, target: Target) -> QuerySet[Any]:
    """The conversations that the target is, or is a part of; where it is gone already, its tombstones know them."""
    tombstones = Tombstone.objects.for_tenant(tenant_id).filter(object_id__in=target.message_ids)
    parts = (messages_of(tenant_id, target), archive_of(tenant_id, target), tombstones)
    found = (part.filter(session_id__isnull=False).values("session_id") for part in parts)
    return sessions_of(tenant_id, target).values("id").union(*found)


class DeferredHolding:
    """What a hold or a legal minimum made an erasure take out of the other holdings. It ends with its case."""

    name = "deferred_records"
    tables: Sequence[str] = (DeferredRecords._meta.db_table,)
    record_class = "archive"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        if target.customer_id is None:
            return []
        return [DeferredRecords.objects.for_tenant(tenant_id).filter(customer_id=target.customer_id)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Mapping[str, Any]]:
        yield from ()  # beyond use: only the case opens it

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return 0


def archive_of(tenant_id: UUID, target: Target) -> QuerySet[ArchiveRecord]:
    """The archive records that the target takes with it, hidden ones included."""
    rows = ArchiveRecord.objects.for_tenant(tenant_id)
    if target.customer_id is not None:
        return rows.filter(customer_id=target.customer_id)
    if target.session_id is not None:
        return rows.filter(session_id=target.session_id)
    return rows.filter(id__in=target.message_ids)
