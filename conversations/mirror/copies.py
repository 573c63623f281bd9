"""The copies that are compared with the rows: those in the stores, and PostgreSQL's own search tables."""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from django.db import connections

from conversations.backends.configured import search_store, vector_store
from conversations.backends.embedders import EmbeddingProfile, configured_profiles, embedder_for
from conversations.backends.milvus import MilvusStore
from conversations.backends.values import (
    Change,
    DayDigest,
    ItemResult,
    Kind,
    MirroredVersion,
    MirrorKey,
    Outcome,
)
from conversations.enums import Entity, Sink
from conversations.ids import floor_id
from conversations.indexing.changes import window_vectors
from conversations.indexing.sources import Source, sources
from conversations.indexing.turns import read_windows
from conversations.mirror.profiles import read_message_profiles
from conversations.mirror.record import DAY, FINGERPRINT, Part, cursor_without_timeout
from conversations.models import MirrorSink


class Versions(Protocol):
    """What a comparison asks of a store; `backends.protocols.Mirror` has it."""

    def versions(
        self, kind: Kind, tenant_id: UUID, start: dt.datetime | None = None, end: dt.datetime | None = None
    ) -> Iterator[MirroredVersion]: ...

    def day_digests(self, kind: Kind, tenant_id: UUID) -> Iterator[DayDigest]: ...

    def apply(self, changes: Sequence[Change]) -> list[ItemResult]: ...


def _all(keys: Collection[MirrorKey]) -> set[MirrorKey]:
    return set(keys)


@dataclass(frozen=True)
class Copy:
    """One store, or one collection of it, with what it should hold."""

    sink: Sink
    store: Versions
    parts: Sequence[Part]
    has_chapters: bool
    make: Callable[[], object]  # makes what is missing of it
    wanted: Callable[[Collection[MirrorKey]], set[MirrorKey]] = (
        _all  # of rows that it lacks: those it could have
    )


def copies_of(sink: Sink) -> list[Copy]:
    """The sink's copies; none where it is off."""
    row = MirrorSink.objects.using("ops").get(id=sink)
    if not row.enabled:
        return []
    found = sources(row.entities)
    if sink is Sink.LEXICAL:
        return [Copy(sink, SearchTables(), [Part(s.kind, s) for s in found], True, make=lambda: None)]
    if sink is Sink.ELASTICSEARCH:
        store = search_store()
        parts = [Part(source.kind, source) for source in found]
        return [Copy(sink, store, parts, True, make=store.ensure_indexes)] if store is not None else []
    profiles = dict.fromkeys([*read_message_profiles().all, *configured_profiles()])
    return [
        _collection(profile, collection, found)
        for profile in profiles
        if (collection := vector_store(profile)) is not None
    ]


def _collection(profile: EmbeddingProfile, store: MilvusStore, found: Sequence[Source]) -> Copy:
    has_messages = profile in read_message_profiles().all
    parts = []
    for source in found:
        if source.entity == Entity.MESSAGE and has_messages:
            parts.append(Part(source.kind, source))
        elif source.entity == Entity.MEMORY:
            mine = f"{source.condition} AND (profile = %s OR (profile IS NULL AND %s))"
            narrowed = Source(source.entity, source.kind, source.table, mine)
            parts.append(Part(source.kind, narrowed, (profile.name, has_messages)))
    return Copy(
        Sink.MILVUS,
        store,
        parts,
        has_chapters=False,
        make=store.ensure_collection,
        wanted=lambda keys: _with_vector(keys, profile),
    )


# Beyond so many missing vectors it is not wordless messages that are missing, and embedding them tells nothing more.
_FEW = 2_000


def _with_vector(keys: Collection[MirrorKey], profile: EmbeddingProfile) -> set[MirrorKey]:
    """Of messages without a vector those that should have one: a message without a word has none."""
    messages = {key.id: key for key in keys if key.kind is Kind.MESSAGES}
    if not messages or len(messages) > _FEW:
        return set(keys)
    windows = read_windows(messages)
    vectors = window_vectors(windows.values(), embedder_for(profile))
    return {
        key for key in keys if key.kind is not Kind.MESSAGES or key.id in vectors or key.id not in windows
    }


class SearchTables:
    """PostgreSQL's own search tables, seen as a store."""

    name = "postgresql"

    def versions(
        self, kind: Kind, tenant_id: UUID, start: dt.datetime | None = None, end: dt.datetime | None = None
    ) -> Iterator[MirroredVersion]:
        assert start is not None
        assert end is not None
        query = _INDEXED_CHAPTERS if kind is Kind.CHAPTERS else _INDEXED
        with cursor_without_timeout() as cursor:
            cursor.execute(query, [tenant_id, floor_id(start), floor_id(end)])
            rows = cursor.fetchall()
        for row_id, part, version in rows:
            yield MirroredVersion(MirrorKey(kind, tenant_id, row_id, part), version)

    def day_digests(self, kind: Kind, tenant_id: UUID) -> Iterator[DayDigest]:
        with cursor_without_timeout() as cursor:
            cursor.execute(_INDEXED_CHAPTER_DAYS if kind is Kind.CHAPTERS else _INDEXED_DAYS, [tenant_id])
            rows = cursor.fetchall()
        for day, count, digest in rows:
            yield DayDigest(tenant_id, day, count, int(digest))

    def apply(self, changes: Sequence[Change]) -> list[ItemResult]:
        """Removals only: everything else comes through the outbox."""
        with connections["ops"].cursor() as cursor:
            for change in changes:
                key = change.key
                statement = _FORGET_CHAPTER if key.kind is Kind.CHAPTERS else _FORGET
                cursor.execute(statement, {"tenant": key.tenant_id, "id": key.id, "part": key.part})
        return [ItemResult(change.key, Outcome.DONE) for change in changes]


_INDEXED = """
    SELECT message_id, NULL::int, row_version FROM conversations_messageindex
    WHERE tenant_id = %s AND message_id >= %s AND message_id < %s
"""
_INDEXED_CHAPTERS = """
    SELECT session_id, chapter, row_version FROM conversations_chapterindex
    WHERE tenant_id = %s AND session_id >= %s AND session_id < %s
"""
_INDEXED_DAYS = f"""
    SELECT {DAY.format("message_id")} AS day, count(*), sum({FINGERPRINT.format("message_id")})
    FROM conversations_messageindex WHERE tenant_id = %s GROUP BY day
"""
_INDEXED_CHAPTER_DAYS = f"""
    SELECT {DAY.format("session_id")} AS day, count(*), 0
    FROM conversations_chapterindex WHERE tenant_id = %s GROUP BY day
"""
_FORGET = "DELETE FROM conversations_messageindex WHERE tenant_id = %(tenant)s AND message_id = %(id)s"
_FORGET_CHAPTER = """
    DELETE FROM conversations_chapterindex
    WHERE tenant_id = %(tenant)s AND session_id = %(id)s AND chapter = %(part)s
"""
