"""Retention's projections: the scrubbed text of archive records in the search store, for compliance staff."""

from collections.abc import Iterator, Sequence
from typing import Any

from conversations.backends.values import ArchiveDocument, Change, Kind, MirrorKey, Removal, Upsert
from conversations.enums import Entity, Sink
from retention.models import ArchiveRecord


class ArchiveProjection:
    """`conversations.ports.Projection`. Whether a record has expired is decided when it is read."""

    entity: int = Entity.ARCHIVE
    kind: str = Kind.ARCHIVE
    table: str = ArchiveRecord._meta.db_table
    condition: str = "hidden_at IS NULL"
    sinks: Sequence[int] = (Sink.ELASTICSEARCH,)

    def changes(self, due: Sequence[Any]) -> Iterator[tuple[Change, Any]]:
        rows = ArchiveRecord.objects.using("ops").filter(id__in=[one.id for one in due])
        found = {row.id: row for row in rows if row.hidden_at is None}
        for one in due:
            key = MirrorKey(Kind.ARCHIVE, one.tenant_id, one.id)
            row = found.get(one.id)
            if row is None:
                yield Removal(key, one.version), one
            else:
                yield Upsert(key, row.row_version, _document(row)), one


def _document(row: ArchiveRecord) -> ArchiveDocument:
    return ArchiveDocument(
        session_id=row.session_id,
        customer_id=row.customer_id,
        role=row.role,
        created_at=row.created_at,
        expires_at=None,
        text=row.scrubbed,
    )
