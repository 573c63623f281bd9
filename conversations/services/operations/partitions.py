"""Partitions by time: a UUIDv7 key carries its timestamp, so bounds on ids are bounds on time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import connections, transaction

from conversations import ids
from conversations.locking import BRIEFLY, retry_locked

Every = Literal["week", "month"]

WEEKS_AHEAD = 8
MONTHS_AHEAD = 3


@dataclass(frozen=True)
class Partitioned:
    table: str
    every: Every


# Archive records join from `retention` (`register`).
_partitioned: list[Partitioned] = [
    Partitioned("conversations_message", "week"),
    Partitioned("conversations_messageindex", "week"),
    Partitioned("conversations_auditevent", "month"),
]


def register(table: str, every: Every) -> None:
    """Maintain another app's partitioned table too."""
    entry = Partitioned(table, every)
    if entry not in _partitioned:
        _partitioned.append(entry)


def partitioned_tables() -> Sequence[Partitioned]:
    return tuple(_partitioned)


@dataclass(frozen=True)
class Span:
    """One partition: rows of `[start, end)`."""

    table: str
    start: datetime
    end: datetime

    @property
    def name(self) -> str:
        return f"{self.table}_{self.start:%Y%m%d}"


def spans(entry: Partitioned, start: datetime, end: datetime) -> Iterator[Span]:
    """The partitions that cover `[start, end)`, in order."""
    at = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    at = at - timedelta(days=at.weekday()) if entry.every == "week" else at.replace(day=1)
    while at < end:
        following = (
            at + timedelta(days=7) if entry.every == "week" else (at + timedelta(days=32)).replace(day=1)
        )
        yield Span(entry.table, at, following)
        at = following


def ensure_partitions(now: datetime | None = None, since: datetime | None = None) -> list[str]:
    """Make what is missing from `since` (default: now) to some weeks ahead; returns the names made. Idempotent.

    Rows that already lie in the DEFAULT partition are moved, in the transaction that makes their partition.
    """
    missing = missing_partitions(now, since)
    for span in missing:
        retry_locked(_make, span)
    return [span.name for span in missing]


def missing_partitions(now: datetime | None = None, since: datetime | None = None) -> list[Span]:
    """Partitions that do not exist: from `since` (default: now) to some weeks ahead, and for rows in DEFAULT."""
    now = now or ids.now()
    missing: list[Span] = []
    for entry in partitioned_tables():
        ahead = timedelta(weeks=WEEKS_AHEAD) if entry.every == "week" else timedelta(days=31 * MONTHS_AHEAD)
        existing = _existing(entry.table)
        wanted = dict.fromkeys([*_spans_of_strays(entry), *spans(entry, since or now, now + ahead)])
        missing += [span for span in wanted if span.name not in existing]
    return missing


def _spans_of_strays(entry: Partitioned) -> list[Span]:
    """The partitions for imported rows in DEFAULT, whose time has no partition yet."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            f'SELECT DISTINCT date_trunc(%s, created_at, %s) FROM "{entry.table}_default" ORDER BY 1',
            [entry.every, "UTC"],
        )
        return [span for (at,) in cursor.fetchall() for span in spans(entry, at, at + timedelta(days=1))]


def default_rows() -> dict[str, int]:
    """How many rows each DEFAULT partition has, which should be none: watched by metrics and `doctor`."""
    counts = {}
    with connections["ops"].cursor() as cursor:
        for entry in partitioned_tables():
            cursor.execute(
                f'SELECT count(*) FROM (SELECT 1 FROM "{entry.table}" WHERE tableoid = %s::regclass LIMIT 100000) d',
                [f"{entry.table}_default"],
            )
            counts[entry.table] = cursor.fetchone()[0]
    return counts


@dataclass(frozen=True)
class Partition:
    """A partition that exists, other than DEFAULT: ids of `[first, before)`."""

    table: str
    name: str
    first: UUID
    before: UUID


def list_partitions(table: str) -> list[Partition]:
    """The partitions of a table, oldest first. Only the owner may read them directly: no other role has grants."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \\('(.*)'\\) TO \\('(.*)'\\)$$) "
            "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass",
            [table],
        )
        found = [
            Partition(table, name, UUID(bounds[0]), UUID(bounds[1]))
            for name, bounds in cursor.fetchall()
            if bounds
        ]
    return sorted(found, key=lambda partition: partition.first)


def _existing(table: str) -> set[str]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass",
            [table],
        )
        return {name for (name,) in cursor.fetchall()}


def _make(span: Span) -> None:
    """One transaction, in which nobody else reads or writes the table.

    A statement planned while rows move would look for them where they no longer are, and whoever asked would take
    them for deleted. What writers lock first is locked first.
    """
    key = "message_id" if span.table == "conversations_messageindex" else "id"
    low, high = ids.floor_id(span.start), ids.floor_id(span.end)
    default = f"{span.table}_default"
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{BRIEFLY}'")
        cursor.execute(
            "SELECT DISTINCT confrelid::regclass::text FROM pg_constraint "
            "WHERE contype = 'f' AND conrelid = %s::regclass",
            [span.table],
        )
        for (referenced,) in cursor.fetchall():
            cursor.execute(f"LOCK TABLE {referenced} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(f'LOCK TABLE "{span.table}" IN ACCESS EXCLUSIVE MODE')
        cursor.execute(f'CREATE TABLE "{span.name}" (LIKE "{span.table}" INCLUDING ALL)')
        cursor.execute(
            f'SELECT EXISTS (SELECT FROM "{default}" WHERE {key} >= %s AND {key} < %s)', [low, high]
        )
        if cursor.fetchone()[0]:
            # Each partition has the row triggers of its parent: an append-only table would refuse to let them go.
            # Those of statements sit on the parent, so a move between partitions is no change to the outbox.
            cursor.execute(f'ALTER TABLE "{default}" DISABLE TRIGGER USER')
            cursor.execute(
                f'WITH moved AS (DELETE FROM "{default}" WHERE {key} >= %s AND {key} < %s RETURNING *) '
                f'INSERT INTO "{span.name}" SELECT * FROM moved',
                [low, high],
            )
            cursor.execute(f'ALTER TABLE "{default}" ENABLE TRIGGER USER')
        cursor.execute(
            f"ALTER TABLE \"{span.table}\" ATTACH PARTITION \"{span.name}\" FOR VALUES FROM ('{low}') TO ('{high}')"
        )
