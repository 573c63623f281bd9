"""The stores that follow PostgreSQL: how each takes a batch of due rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

from conversations.backends.configured import search_store, vector_store
from conversations.backends.embedders import configured_profiles, embedder_for
from conversations.backends.protocols import Mirror, SearchStore
from conversations.backends.values import Kind, MirrorKey, Outcome, StoreUnavailable
from conversations.enums import Entity, Sink
from conversations.indexing import lexical
from conversations.indexing.batches import Due
from conversations.indexing.changes import Planned, search_changes, vector_changes
from conversations.mirror.profiles import read_message_profiles
from conversations.mirror.ranges import follow_ranges, forget_in, forget_in_postgresql
from conversations.ports import registry

EMBEDDED_AT_ONCE = 500
CORE = frozenset({Entity.MESSAGE, Entity.SESSION, Entity.MEMORY, Entity.CHAPTERS})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a due row was not followed."""

    error: str
    outcome: Outcome


class SinkWriter(Protocol):
    """Brings one store up to date. Raises StoreUnavailable when the outcome of the whole batch is unknown."""

    def write(self, due: Sequence[Due]) -> Mapping[Due, Failure]:
        """What could not be followed; everything else was."""


class LexicalWriter:
    """PostgreSQL's search tables."""

    def write(self, due: Sequence[Due]) -> Mapping[Due, Failure]:
        lexical.write(due)
        return _left(follow_ranges(due, forget_in_postgresql))


class SearchWriter:
    """Elasticsearch."""

    def write(self, due: Sequence[Due]) -> Mapping[Due, Failure]:
        store = search_store()
        if store is None:
            # Switched on, but not for this process: what it would forget here would be missing there.
            raise StoreUnavailable("elasticsearch", "not configured")
        planned = search_changes([one for one in due if one.entity in CORE], partial(_held_chapters, store))
        _add_projections(planned, due, Sink.ELASTICSEARCH)
        left = follow_ranges(due, forget_in(store, Kind.MESSAGES, Kind.ARCHIVE))
        return _send(store, planned) | _left(left)


class VectorWriter:
    """Every profile's collection in Milvus."""

    def write(self, due: Sequence[Due]) -> Mapping[Due, Failure]:
        # A remote provider may be slow: a statement now and then shows that this writer is alive.
        pages = (due[begin : begin + EMBEDDED_AT_ONCE] for begin in range(0, len(due), EMBEDDED_AT_ONCE))
        return {one: failure for page in pages for one, failure in self._write(page).items()}

    def _write(self, due: Sequence[Due]) -> Mapping[Due, Failure]:
        failures: dict[Due, Failure] = {}
        with_messages = read_message_profiles().all
        for profile in dict.fromkeys([*with_messages, *configured_profiles()]):
            store = vector_store(profile)
            if store is None:
                raise StoreUnavailable("milvus", "not configured")
            planned = vector_changes(
                due, embedder_for(profile), profile=profile.name, is_default=profile in with_messages
            )
            left = follow_ranges(due, forget_in(store, Kind.MESSAGES))
            failures |= _send(store, planned) | _left(left)
        return failures


WRITERS: Mapping[Sink, SinkWriter] = {
    Sink.LEXICAL: LexicalWriter(),
    Sink.ELASTICSEARCH: SearchWriter(),
    Sink.MILVUS: VectorWriter(),
}


def _held_chapters(store: SearchStore, tenant_id: UUID, session_ids: Sequence[UUID]) -> list[MirrorKey]:
    return [entry.key for entry in store.held(Kind.CHAPTERS, tenant_id, session_ids)]


def _add_projections(planned: Planned, due: Sequence[Due], sink: Sink) -> None:
    """Rows of other apps, by the projections they registered."""
    for entity, projection in registry.projections.items():
        theirs = [one for one in due if one.entity == entity]
        if theirs and sink in projection.sinks:
            for change, one in projection.changes(theirs):
                planned.add(change, one)


def _left(ranges: Mapping[Due, int]) -> dict[Due, Failure]:
    return {one: Failure(f"{count} left of a purged range", Outcome.RETRY) for one, count in ranges.items()}


def _send(store: Mirror, planned: Planned) -> dict[Due, Failure]:
    if not planned.changes:
        return {}
    return {
        one: Failure(result.detail or result.outcome, result.outcome)
        for result in store.apply(planned.changes)
        if result.outcome is not Outcome.DONE
        for one in planned.satisfies[result.key]
    }
