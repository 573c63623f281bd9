"""`GET /stats`: how much a tenant has stored, and how far its mirrors lag.

The mirror's state is read at each call. Counts are remembered for some seconds, and none of them walks a tenant's
messages: sessions carry counters, and ids carry times.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, connections

from conversations import ids
from conversations.backends.configured import search_store, vector_store
from conversations.backends.protocols import Mirror
from conversations.backends.values import Kind, StoreUnavailable
from conversations.mirror.profiles import served_profile
from conversations.mirror.rates import followed_per_second
from conversations.models import Memory
from conversations.ports import lifecycle
from conversations.services.mirrors.status import mirror_status
from conversations.tenancy import tenant_scope
from conversations.timed_cache import TimedCache

FRESH = 4.0  # seconds that counts are remembered: with the counting itself they are at most five old
PATIENCE = 1.0  # seconds for all the stores' own counts together

_COUNTS = """
    SELECT coalesce(sum(s.message_count), 0), count(*),
           (SELECT count(*) FROM conversations_customer c
            WHERE c.tenant_id = %(tenant)s AND c.external_id IS NOT NULL)
    FROM conversations_session s WHERE s.tenant_id = %(tenant)s AND s.hidden_at IS NULL
"""
_INGESTED = """
    SELECT count(*) FILTER (WHERE id >= %(minute)s), count(*) FILTER (WHERE id >= %(hour)s), count(*)
    FROM conversations_message WHERE tenant_id = %(tenant)s AND id >= %(day)s
"""
_OLDEST = """
    SELECT min(created_at) FROM (
        SELECT created_at FROM conversations_message
        WHERE tenant_id = %(tenant)s AND hidden_at IS NULL AND id >= %(floor)s ORDER BY id LIMIT 1) first
"""
# Partitions' bytes, and their rows as the last VACUUM or ANALYZE found them.
_SIZE = """
    SELECT sum(pg_total_relation_size(leaf.oid))::bigint, sum(greatest(leaf.reltuples, 0))::bigint
    FROM pg_class root
    LEFT JOIN LATERAL pg_partition_tree(root.oid) tree ON tree.isleaf
    JOIN pg_class leaf ON leaf.oid = coalesce(tree.relid, root.oid)
    WHERE root.oid = %s::regclass
"""
_SPANS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}

Counter = Callable[[UUID], int]
"""How many of its things a tenant has. Called inside its scope."""

_counters: dict[str, Counter] = {"preferences": lambda _: 0, "archived": lambda _: 0}


def register_count(name: str, counter: Counter) -> None:
    """Called by the wiring of the app that has these things."""
    _counters[name] = counter


@dataclass(frozen=True, slots=True)
class Counts:
    """What a tenant has; None documents where a store does not answer or is off."""

    things: Mapping[str, int]
    bytes: Mapping[str, int]
    documents: Mapping[str, int | None]
    ingest: Mapping[str, int]
    oldest_message_at: datetime | None


_counts: TimedCache[UUID, Counts] = TimedCache()


def read_stats(tenant_id: UUID) -> dict[str, Any]:
    """The answer of `GET /stats`. Opens a tenant scope of its own."""
    counts = _recent_counts(tenant_id)
    status = mirror_status(tenant_id)
    return {
        "object": "stats",
        **counts.things,
        "bytes": counts.bytes,
        "documents": counts.documents,
        "mirror": {
            "lag_seconds": status.lag_seconds,
            "pending": status.pending,
            "parked": status.parked,
            "rate_per_second": followed_per_second(tenant_id),
        },
        "ingest": counts.ingest,
        "oldest_message_at": counts.oldest_message_at,
    }


def _recent_counts(tenant_id: UUID) -> Counts:
    counts = _counts.get(tenant_id)
    if counts is None:
        counts = _count(tenant_id)
        _counts.put(tenant_id, counts, FRESH)
    return counts


def _count(tenant_id: UUID) -> Counts:
    documents = _documents(tenant_id)  # before the scope: no transaction is open while stores are asked
    now = ids.now()
    with tenant_scope(tenant_id):
        things = _things(tenant_id, now)
        since = {name: ids.floor_id(now - span) for name, span in _SPANS.items()}
        ingested = _row(_INGESTED, tenant=tenant_id, **since)
        floor = ids.floor_id(lifecycle().expiry(tenant_id).floor(now))
        (oldest,) = _row(_OLDEST, tenant=tenant_id, floor=floor)
    return Counts(
        things=things,
        bytes={
            "messages": _estimated_bytes("conversations_message", things["messages"]),
            "search": _estimated_bytes("conversations_messageindex", things["messages"]),
            "memories": _estimated_bytes("conversations_memory", things["memories"]),
        },
        documents=documents,
        ingest={f"last_{name}": count for name, count in zip(_SPANS, ingested, strict=True)},
        oldest_message_at=oldest,
    )


def _things(tenant_id: UUID, now: datetime) -> dict[str, int]:
    messages, sessions, customers = _row(_COUNTS, tenant=tenant_id)
    return {
        "messages": messages,
        "sessions": sessions,
        "customers": customers,
        "memories": Memory.objects.for_tenant(tenant_id).current(now).count(),
        **{name: counter(tenant_id) for name, counter in _counters.items()},
    }


def _estimated_bytes(table: str, rows: int) -> int:
    """The tenant's share of a table, indexes included, as if all rows were equally long."""
    with connections["ops"].cursor() as cursor:
        cursor.execute(_SIZE, [table])
        size, known = cursor.fetchone()
    return int(size * rows / max(known, rows, 1))


def _documents(tenant_id: UUID) -> dict[str, int | None]:
    """Entries of the tenant in each store, all stores asked at once."""
    vectors = vector_store(served_profile())
    return _counted(
        {
            "elasticsearch": _counting(search_store(), tuple(Kind), tenant_id),
            "milvus": _counting(vectors, (Kind.MESSAGES, Kind.MEMORIES), tenant_id),
        }
    )


def _counting(store: Mirror | None, kinds: Sequence[Kind], tenant_id: UUID) -> Callable[[], int] | None:
    return None if store is None else lambda: sum(store.count(kind, tenant_id) for kind in kinds)


def _counted(counting: Mapping[str, Callable[[], int] | None]) -> dict[str, int | None]:
    pool = ThreadPoolExecutor(len(counting), thread_name_prefix="documents")
    asked = {name: pool.submit(count) for name, count in counting.items() if count is not None}
    pool.shutdown(wait=False)
    deadline = time.monotonic() + PATIENCE
    counts: dict[str, int | None] = dict.fromkeys(counting)
    for name, answer in asked.items():
        try:
            counts[name] = answer.result(timeout=max(deadline - time.monotonic(), 0))
        except (TooLate, StoreUnavailable):
            counts[name] = None
    return counts


def _row(query: str, **values: Any) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        row: tuple[Any, ...] = cursor.fetchone()
        return row
