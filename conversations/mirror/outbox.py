"""Outbox events of rebuilds and repairs, which no trigger writes. In bounded statements, each with its own commit."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connections

from conversations.enums import Reason, Sink
from conversations.indexing.sources import Source

ROWS = 5_000  # in one statement: some 50 ms

_ENQUEUE_ROWS = """
    WITH rows AS MATERIALIZED (
        SELECT id, tenant_id, row_version FROM {table}
        WHERE {condition} AND id > %(after)s AND (%(tenant)s::uuid IS NULL OR tenant_id = %(tenant)s)
        ORDER BY id LIMIT %(limit)s),
    written AS (
        INSERT INTO conversations_mirrorevent (tenant_id, sink, entity, entity_id, entity_version, reason)
        SELECT tenant_id, %(sink)s, %(entity)s, id, row_version, %(reason)s FROM rows)
    SELECT id, count(*) OVER () FROM rows ORDER BY id DESC LIMIT 1
"""
_ENQUEUE = """
    INSERT INTO conversations_mirrorevent (tenant_id, sink, entity, entity_id, entity_version, reason)
    SELECT u.tenant_id, %s, u.entity, u.id, u.version, %s
    FROM unnest(%s::uuid[], %s::smallint[], %s::uuid[], %s::bigint[]) AS u (tenant_id, entity, id, version)
"""
_DISCARD = """
    DELETE FROM conversations_mirrorevent WHERE id IN (
        SELECT id FROM conversations_mirrorevent
        WHERE sink = %s AND (%s::smallint IS NULL OR reason = %s) LIMIT %s)
"""

BEFORE_ALL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Stale:
    """A row that the sink has to read again."""

    tenant_id: UUID
    entity: int
    id: UUID
    version: int


def enqueue_all(sink: Sink, source: Source, reason: Reason, tenant_id: UUID | None = None) -> int:
    """One event for every row of the source, of one tenant or of all; how many."""
    statement = _ENQUEUE_ROWS.format(table=source.table, condition=source.condition)
    after, total = BEFORE_ALL, 0
    while True:
        with connections["ops"].cursor() as cursor:
            cursor.execute(
                statement,
                {
                    "after": after,
                    "tenant": tenant_id,
                    "limit": ROWS,
                    "sink": sink,
                    "entity": source.entity,
                    "reason": reason,
                },
            )
            row = cursor.fetchone()
        if row is None:
            return total
        after, written = row
        total += written


def enqueue(sink: Sink, stale: Iterable[Stale], reason: Reason) -> int:
    """One event for each of these rows; how many."""
    total = 0
    rest = iter(stale)
    while chunk := list(islice(rest, ROWS)):
        columns: list[list[Any]] = [
            [one.tenant_id for one in chunk],
            [one.entity for one in chunk],
            [one.id for one in chunk],
            [one.version for one in chunk],
        ]
        with connections["ops"].cursor() as cursor:
            cursor.execute(_ENQUEUE, [sink, reason, *columns])
        total += len(chunk)
    return total


def discard(sink: Sink, reason: Reason | None = None) -> int:
    """Forget the sink's events, all or those of one reason; how many there were."""
    total = 0
    while True:
        with connections["ops"].cursor() as cursor:
            cursor.execute(_DISCARD, [sink, reason, reason, ROWS])
            removed = cursor.rowcount
        if not removed:
            return total
        total += removed
