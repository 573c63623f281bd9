"""What should be in a mirror according to PostgreSQL: keys and versions, counted by day."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from conversations.backends.values import DayDigest, Kind, MirrorKey
from conversations.ids import floor_id
from conversations.indexing.sources import Source
from conversations.indexing.turns import CHAPTER

# The SQL twin of `backends.values.fingerprint`.
FINGERPRINT = "('x' || left(md5(concat_ws(':', {}, row_version)), 8))::bit(32)::bigint"
DAY = "(to_timestamp(uuid7_millis({}) / 1000.0) AT TIME ZONE 'UTC')::date"

_DAYS = f"""
    SELECT {DAY.format("id")} AS day, count(*), sum({FINGERPRINT.format("id")})
    FROM {{table}} WHERE tenant_id = %s AND {{condition}} GROUP BY day
"""
_VERSIONS = """
    SELECT id, row_version FROM {table} WHERE tenant_id = %s AND id >= %s AND id < %s AND {condition}
"""
_CHAPTERS = f"""
    SELECT session_id, (position - 1) / {CHAPTER}, max(row_version) FROM conversations_message
    WHERE tenant_id = %s AND session_id >= %s AND session_id < %s AND hidden_at IS NULL GROUP BY 1, 2
"""
_CHAPTER_DAYS = f"""
    SELECT DISTINCT {DAY.format("id")} FROM conversations_session WHERE tenant_id = %s
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of entries in one copy, and the rows that it shows; `values` belong to the source's condition."""

    kind: Kind
    source: Source
    values: tuple[Any, ...] = ()


def days_of(part: Part, tenant_id: UUID) -> dict[dt.date, DayDigest]:
    """Count and digest of the rows for each UTC day of their ids."""
    query = _DAYS.format(table=part.source.table, condition=part.source.condition)
    rows = _rows(query, tenant_id, *part.values)
    return {day: DayDigest(tenant_id, day, count, int(digest)) for day, count, digest in rows}


def versions_of(part: Part, tenant_id: UUID, day: dt.date) -> dict[MirrorKey, int]:
    """The rows of one day."""
    query = _VERSIONS.format(table=part.source.table, condition=part.source.condition)
    rows = _rows(query, tenant_id, *bounds(day), *part.values)
    return {MirrorKey(part.kind, tenant_id, row_id): version for row_id, version in rows}


def chapter_days(tenant_id: UUID) -> set[dt.date]:
    """The days on which sessions began: chapters belong to these."""
    return {day for (day,) in _rows(_CHAPTER_DAYS, tenant_id)}


def chapters_of(tenant_id: UUID, day: dt.date) -> dict[MirrorKey, int]:
    """Chapters of one day's sessions, each with the greatest version of its live messages."""
    return {
        MirrorKey(Kind.CHAPTERS, tenant_id, session_id, chapter): version
        for session_id, chapter, version in _rows(_CHAPTERS, tenant_id, *bounds(day))
    }


def bounds(day: dt.date) -> tuple[UUID, UUID]:
    """The first id of the day, and of the next."""
    start, end = times(day)
    return floor_id(start), floor_id(end)


def times(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """The day's midnight in UTC, and the next."""
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    return start, start + dt.timedelta(days=1)


@contextmanager
def cursor_without_timeout() -> Iterator[Any]:
    """A cursor as `ops` without a statement timeout: a tenant may have millions of rows."""
    with transaction.atomic(using="ops"), connections["ops"].cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield cursor


def _rows(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with cursor_without_timeout() as cursor:
        cursor.execute(query, list(values))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
