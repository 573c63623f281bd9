"""Rebuilds stores from PostgreSQL beside the live ones, while writes go on.

From the beginning of a rebuild the drain writes to both. What it carried before that was committed, so the pages read
afterwards have it. Elasticsearch puts late writes in order by their versions; Milvus does not, so there a page is read
and written while the drain waits.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from conversations.backends.configured import search_store, vector_store
from conversations.backends.embedders import EmbeddingProfile, configured_profiles, embedder_for
from conversations.backends.milvus import MilvusStore
from conversations.backends.protocols import SearchStore
from conversations.backends.values import ALL_IDS, Change, ItemResult, Kind, Outcome, StoreUnavailable
from conversations.enums import Entity, Reason, Sink
from conversations.indexing.batches import Due
from conversations.indexing.changes import Planned, search_changes, vector_changes
from conversations.indexing.sources import Source, sources
from conversations.locking import only_one
from conversations.mirror import outbox
from conversations.mirror.outbox import Stale
from conversations.mirror.paging import about_how_many, pages, pages_of_chapters
from conversations.mirror.profiles import (
    LIFETIME,
    MessageProfiles,
    read_message_profiles,
    write_message_profiles,
)
from conversations.mirror.writers import waiting_writer
from conversations.models import MirrorSink
from conversations.ports import registry

log = structlog.get_logger(__name__)

PATIENCE = 30.0  # seconds that a store may refuse a page: less than `writers.SILENCE`
PAUSE = 0.05
REBUILD = "rebuild"  # one at a time of each store

Advance = Callable[[str, int, int], None]
"""What is being rebuilt, how many rows are done, and about how many there are."""
Send = Callable[[Sequence[Change]], list[ItemResult]]


class RebuildFailed(Exception):
    """The rebuild failed, and nothing was switched."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many rows were written, and how many of them the store refused; those are parked in the outbox."""

    rows: int
    refused: int

    def __add__(self, other: "Rebuilt") -> "Rebuilt":
        return Rebuilt(self.rows + other.rows, self.refused + other.refused)


def rebuild_search(store: SearchStore, advance: Advance) -> Rebuilt:
    """Every index of Elasticsearch, one after the other."""
    entities = MirrorSink.objects.using("ops").values_list("entities", flat=True).get(id=Sink.ELASTICSEARCH)
    found = {source.kind: source for source in sources(entities)}
    total = Rebuilt(0, 0)
    with only_rebuild(Sink.ELASTICSEARCH):
        for kind in Kind:
            try:
                store.begin_rebuild(kind)
                total += _fill(store, kind, found.get(kind), advance)
                store.finish_rebuild(kind)
            except StoreUnavailable as error:
                raise RebuildFailed(f"{kind}: {error.reason}") from error
    MirrorSink.objects.using("ops").filter(id=Sink.ELASTICSEARCH).update(schema=store.schema)
    return total


def rebuild_vectors(profile: EmbeddingProfile, advance: Advance) -> Rebuilt:
    """Re-embed one profile's collection."""
    store = _collection_of(profile)
    with only_rebuild(Sink.MILVUS):
        try:
            store.begin_rebuild()
            done = _embed_all(profile, store.apply_to_rebuild, advance)
            with waiting_writer(Sink.MILVUS):
                store.finish_rebuild()
        except StoreUnavailable as error:
            raise RebuildFailed(f"{profile.name}: {error.reason}") from error
    return done


def move_messages(profile: EmbeddingProfile, advance: Advance) -> Rebuilt:
    """Embed all messages into another profile's collection, then search there; the old vectors go."""
    old = read_message_profiles().served
    if profile == old:
        return rebuild_vectors(profile, advance)
    with only_rebuild(Sink.MILVUS):
        try:
            store = _collection_of(profile)
            store.ensure_collection()
            write_message_profiles(MessageProfiles(old, filling=profile))
            done = _embed_all(profile, store.apply, advance)
            write_message_profiles(MessageProfiles(profile))
            time.sleep(LIFETIME)  # every process searches the new vectors by now
            leave_profile(old)
        except StoreUnavailable as error:
            raise RebuildFailed(f"{profile.name}: {error.reason}") from error
    return done


def _fill(store: SearchStore, kind: Kind, source: Source | None, advance: Advance) -> Rebuilt:
    total = Rebuilt(0, 0)
    expected = 0 if source is None else about_how_many(source)
    for due in _pages_of(kind, source):
        planned = _planned(kind, due)
        refused = _send(lambda changes: store.apply_to_rebuild(kind, changes), planned.changes)
        total += _counted(Sink.ELASTICSEARCH, due, planned, refused)
        advance(str(kind), total.rows, max(expected, total.rows))
    return total


def _pages_of(kind: Kind, source: Source | None) -> Iterable[list[Due]]:
    if kind is Kind.CHAPTERS:
        return pages_of_chapters()
    return pages(source) if source is not None else ()


def _planned(kind: Kind, due: Sequence[Due]) -> Planned:
    projection = registry.projections.get(due[0].entity)
    if projection is None:
        return search_changes(due, chapters=kind is Kind.CHAPTERS)
    planned = Planned()
    for change, one in projection.changes(due):
        planned.add(change, one)
    return planned


def _embed_all(profile: EmbeddingProfile, send: Send, advance: Advance) -> Rebuilt:
    total = Rebuilt(0, 0)
    embedder = embedder_for(profile)
    with_messages = profile in read_message_profiles().all
    for source in sources((Entity.MESSAGE, Entity.MEMORY)):
        expected = about_how_many(source)
        for due in pages(source):
            with waiting_writer(Sink.MILVUS):
                planned = vector_changes(due, embedder, profile=profile.name, is_default=with_messages)
                refused = _send(send, planned.changes)
            total += _counted(Sink.MILVUS, due, planned, refused)
            advance(f"{profile.name} {source.kind}", total.rows, max(expected, total.rows))
    return total


def _counted(sink: Sink, due: Sequence[Due], planned: Planned, refused: Sequence[ItemResult]) -> Rebuilt:
    """Counts a page; refused rows go to the outbox, to be retried and parked like all others."""
    stale = {one for result in refused for one in planned.satisfies.get(result.key, ())}
    outbox.enqueue(
        sink, [Stale(one.tenant_id, one.entity, one.id, one.version) for one in stale], Reason.REBUILD
    )
    return Rebuilt(len(due), len(stale))


def _send(send: Send, changes: Sequence[Change]) -> list[ItemResult]:
    """Send until every item has a result; returns the refused. StoreUnavailable when the store stays down."""
    refused: list[ItemResult] = []
    deadline = time.monotonic() + PATIENCE
    pause = PAUSE
    while changes:
        try:
            results = send(changes)
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            results = [ItemResult(change.key, Outcome.UNANSWERED) for change in changes]
        refused += [result for result in results if result.outcome is Outcome.REJECTED]
        changes = [change for change, result in zip(changes, results, strict=True) if result.outcome.is_open]
        if changes:
            if time.monotonic() > deadline:
                raise StoreUnavailable("store", f"{len(changes)} entries were not taken")
            time.sleep(pause)
            pause = min(pause * 2, 5.0)
    return refused


def _collection_of(profile: EmbeddingProfile) -> MilvusStore:
    store = vector_store(profile)
    if store is None:
        raise RebuildFailed("Milvus is switched off.")
    return store


def leave_profile(profile: EmbeddingProfile) -> None:
    """Remove the messages' vectors of a profile that is not searched any more, or its whole collection."""
    store = _collection_of(profile)
    with waiting_writer(Sink.MILVUS):
        if profile in configured_profiles():
            store.remove_range(Kind.MESSAGES, ALL_IDS)
        else:
            store.drop()


@contextmanager
def only_rebuild(sink: Sink) -> Iterator[None]:
    """RebuildFailed while another process rebuilds the store: only one rebuild can run beside the live index."""
    with only_one(REBUILD, sink.name) as alone:
        if not alone:
            raise RebuildFailed(f"{sink.label} is being rebuilt already.")
        yield


def configured_search_store() -> SearchStore:
    """Elasticsearch; RebuildFailed where it is switched off."""
    store = search_store()
    if store is None:
        raise RebuildFailed("Elasticsearch is switched off.")
    return store
