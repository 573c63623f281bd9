"""Asks the other stores, id by id, until each answers that nothing of an erased target is left.

The drain removes what was hidden, as it follows every change. Here the stores are only asked; of the tombstones the
case knows for what. `StoreUnavailable` when one does not answer: nothing is known then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection, connections
from django.db.models import QuerySet

from conversations.backends.configured import search_store, vector_store, window_store
from conversations.backends.embedders import configured_profiles
from conversations.backends.milvus import MilvusStore
from conversations.backends.protocols import Mirror
from conversations.backends.values import Kind, MirrorKey, StoreUnavailable, WindowKey
from conversations.enums import Entity, Reason, Sink
from conversations.indexing.turns import chapter_counts
from conversations.mirror.profiles import read_message_profiles
from conversations.mirror.rebuilding import RebuildFailed, only_rebuild
from conversations.mirror.writers import only_writer
from conversations.models import Memory, MirrorSink, Tombstone
from conversations.ports import Target
from conversations.services.holdings import messages_of, sessions_of
from conversations.tenancy import tenant_scope
from retention.models import ErasureCase
from retention.services.holdings import archive_of

ELASTICSEARCH, MILVUS, MILVUS_FILES, REDIS, OUTBOX = (
    "elasticsearch",
    "milvus",
    "milvus_files",
    "redis",
    "outbox",
)
METHODS = {
    ELASTICSEARCH: "documents removed; each id asked for by multi-get, which sees deletes at once",
    MILVUS: "vectors deleted; each id asked for with strong consistency",
    MILVUS_FILES: "collections rebuilt by copying what remains, the old ones dropped",
    REDIS: "windows dropped; each asked for",
    OUTBOX: "events followed by every store",
}
SINKS = {ELASTICSEARCH: Sink.ELASTICSEARCH, MILVUS: Sink.MILVUS}

_PAGE = 1_000

_PENDING = """
    SELECT count(*) FROM conversations_mirrorevent e
    WHERE e.tenant_id = %(tenant)s AND (e.reason = %(erasure)s OR e.entity_id IN (
        SELECT t.object_id FROM conversations_tombstone t WHERE t.tenant_id = %(tenant)s AND t.case_id = %(case)s))
"""


@dataclass(frozen=True)
class Entries:
    """The ids that a case has hidden."""

    tenant_id: UUID
    messages: Sequence[UUID]
    archived: Sequence[UUID]
    sessions: Sequence[UUID]
    memories: Sequence[UUID]
    around: Sequence[UUID]  # sessions that go on without some of their messages

    def search_keys(self) -> Iterator[MirrorKey]:
        for kind, ids in (
            (Kind.MESSAGES, self.messages),
            (Kind.ARCHIVE, [*self.messages, *self.archived]),
            (Kind.SESSIONS, self.sessions),
            (Kind.MEMORIES, self.memories),
        ):
            yield from (MirrorKey(kind, self.tenant_id, one) for one in ids)
        for session_id, count in chapter_counts(self.sessions).items():
            yield from (MirrorKey(Kind.CHAPTERS, self.tenant_id, session_id, part) for part in range(count))

    def vector_keys(self) -> Iterator[MirrorKey]:
        for kind, ids in ((Kind.MESSAGES, self.messages), (Kind.MEMORIES, self.memories)):
            yield from (MirrorKey(kind, self.tenant_id, one) for one in ids)


def stores_in_use() -> list[str]:
    """The stores beside PostgreSQL that have to answer."""
    on = set(MirrorSink.objects.using("ops").filter(enabled=True).values_list("id", flat=True))
    used = [name for name, sink in SINKS.items() if sink in on]
    return [*used, *([REDIS] if window_store() is not None else []), OUTBOX]


def count_mirrored(tenant_id: UUID, target: Target) -> dict[str, int]:
    """How many entries each store has, as the outbox knows it: what is live and was followed.

    Runs inside a tenant scope, before anything is hidden.
    """
    memories = Memory.objects.for_tenant(tenant_id)
    rows: dict[Entity, QuerySet[Any]] = {
        Entity.MESSAGE: messages_of(tenant_id, target),
        Entity.SESSION: sessions_of(tenant_id, target),
        Entity.MEMORY: memories.filter(customer_id=target.customer_id)
        if target.customer_id
        else memories.none(),
        Entity.ARCHIVE: archive_of(tenant_id, target),
    }
    ids_of = {
        entity: list(some.filter(hidden_at__isnull=True).values_list("id", flat=True))
        for entity, some in rows.items()
    }
    counts = dict.fromkeys(stores_in_use(), 0)
    for name in SINKS.keys() & counts.keys():
        shown = MirrorSink.objects.values_list("entities", flat=True).get(id=SINKS[name])
        wanted = [one for entity, ids in ids_of.items() if entity in shown for one in ids]
        counts[name] = len(wanted) - _behind(SINKS[name], wanted)
    return counts


def entries_of(case: ErasureCase) -> Entries:
    """The ids of everything the case left tombstones for."""
    by_kind: dict[str, list[UUID]] = {}
    around: set[UUID] = set()
    with tenant_scope(case.tenant_id):
        tombstones = Tombstone.objects.for_tenant(case.tenant_id).filter(case_id=case.id)
        for kind, object_id, session_id in tombstones.values_list("kind", "object_id", "session_id"):
            by_kind.setdefault(kind, []).append(object_id)
            if kind == "message" and session_id is not None:
                around.add(session_id)
    sessions = by_kind.get("session", [])
    return Entries(
        tenant_id=case.tenant_id,
        messages=by_kind.get("message", []),
        archived=by_kind.get("archive", []),
        sessions=sessions,
        memories=by_kind.get("memory", []),
        around=sorted(around - set(sessions)),
    )


def count_pending(case: ErasureCase) -> int:
    """Outbox events about the case, and those about what its rows were part of: neighbours, chapters."""
    values: dict[str, Any] = {"tenant": case.tenant_id, "case": case.id, "erasure": Reason.ERASURE.value}
    with connections["ops"].cursor() as cursor:
        cursor.execute(_PENDING, values)
        return int(cursor.fetchone()[0])


def count_found(store: str, entries: Entries) -> int:
    """How much of the case the store still has."""
    match store:
        case "elasticsearch":
            return _present(search_store(), ELASTICSEARCH, entries.search_keys())
        case "milvus":
            keys = list(entries.vector_keys())
            return sum(_present(one, MILVUS, iter(keys)) for one in _vector_stores())
        case "redis":
            return _forget_windows(entries)
    raise ValueError(store)


def leaves_residue() -> bool:
    """Whether deleted vectors stay in files until the collections are rebuilt."""
    return any(store.leaves_residue() for store in _vector_stores())


def rebuild_vector_files() -> bool:
    """Copy what remains of every collection, for all cases that wait; False while others write or rebuild."""
    try:
        with only_rebuild(Sink.MILVUS), only_writer(Sink.MILVUS) as alone:
            if alone:
                for store in _vector_stores():
                    store.rebuild_by_copy(after_page=_keep_alive)
            return alone
    except RebuildFailed:
        return False


def _keep_alive() -> None:
    """Use the connection that holds the writer's lock: one that is idle for long loses it."""
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT 1")


def _vector_stores() -> list[MilvusStore]:
    profiles = dict.fromkeys([*read_message_profiles().all, *configured_profiles()])
    stores = [vector_store(profile) for profile in profiles]
    if missing := [store for store in stores if store is None]:
        raise StoreUnavailable(MILVUS, f"{len(missing)} not configured")
    return [store for store in stores if store is not None]


def _present(store: Mirror | None, name: str, keys: Iterator[MirrorKey]) -> int:
    if store is None:
        raise StoreUnavailable(name, "not configured")
    found = 0
    while page := list(islice(keys, _PAGE)):
        found += len(store.present(page))
    return found


def _forget_windows(entries: Entries) -> int:
    redis = window_store()
    if redis is None:
        raise StoreUnavailable(REDIS, "not configured")
    gone = [WindowKey(entries.tenant_id, one) for one in entries.sessions]
    # A window that is still used is refilled from what is left; dropping it twice does no harm.
    for key in (*gone, *(WindowKey(entries.tenant_id, one) for one in entries.around)):
        redis.forget(key)
    return len(redis.present(gone))


def _behind(sink: Sink, ids: Sequence[UUID]) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mirror_pending(%s) p WHERE p.sink = %s", [list(ids), sink.value])
        return int(cursor.fetchone()[0])
