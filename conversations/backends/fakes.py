"""Stores in memory for tests. They pass the same contract suites as the real ones."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

import numpy as np

from conversations.analysis import lexemes
from conversations.backends.values import (
    Candidates,
    Change,
    DayDigest,
    Document,
    IdRange,
    ItemResult,
    Kind,
    LexicalHit,
    MirroredVersion,
    MirrorKey,
    Outcome,
    Pushes,
    Removal,
    SearchFilter,
    SessionScore,
    StoreUnavailable,
    Upsert,
    Vector,
    VectorDocument,
    VectorHit,
    WindowEntry,
    WindowKey,
    digest_days,
)
from conversations.backends.vectors import flaw_of, refuse_flaws
from conversations.backends.window import pushed, refilled, unbroken
from conversations.exceptions import TenantMissing
from conversations.ids import moment_of


class Shelf:
    """Versioned entries: what a mirror is when nothing goes wrong."""

    def __init__(self) -> None:
        self.held: dict[MirrorKey, tuple[int, Document]] = {}
        self.gone: dict[MirrorKey, int] = {}

    def put(self, change: Change) -> None:
        """Take the change over unless something newer is known of its key."""
        known = max(self.held.get(change.key, (0,))[0], self.gone.get(change.key, 0))
        if change.version < known:
            return
        if isinstance(change, Upsert):
            self.gone.pop(change.key, None)
            self.held[change.key] = (change.version, change.document)
        else:
            self.held.pop(change.key, None)
            self.gone[change.key] = change.version

    def of(self, kind: Kind, tenant_id: UUID | None = None, ids: IdRange | None = None) -> list[MirrorKey]:
        """Keys held."""
        return [
            key
            for key in self.held
            if key.kind is kind
            and tenant_id in (None, key.tenant_id)
            and (ids is None or ids.first <= key.id < ids.before)
        ]


class FakeMirror:
    """What the search and the vector fake have in common."""

    name = "fake"

    def __init__(self) -> None:
        self.live = Shelf()
        self.is_away = False

    def apply(self, changes: Sequence[Change]) -> list[ItemResult]:
        """Take every change over."""
        self._answer()
        return [self._apply(change) for change in changes]

    def _apply(self, change: Change) -> ItemResult:
        self.live.put(change)
        return ItemResult(change.key, Outcome.DONE)

    def versions(
        self, kind: Kind, tenant_id: UUID, start: dt.datetime | None = None, end: dt.datetime | None = None
    ) -> Iterator[MirroredVersion]:
        """Every entry of the tenant whose time is in [start, end)."""
        self._answer()
        for key in self.live.of(kind, tenant_id):
            version, document = self.live.held[key]
            moment = document.created_at
            if (start is None or start <= moment) and (end is None or moment < end):
                yield MirroredVersion(key, version)

    def day_digests(self, kind: Kind, tenant_id: UUID) -> Iterator[DayDigest]:
        """Count and digest for each UTC day."""
        found = self.versions(kind, tenant_id)
        dated = ((self.live.held[one.key][1].created_at.date(), one) for one in found)
        return digest_days(tenant_id, dated)

    def present(self, keys: Sequence[MirrorKey]) -> set[MirrorKey]:
        """Those of the keys that are held."""
        self._answer()
        return {key for key in keys if key in self.live.held}

    def count(self, kind: Kind, tenant_id: UUID | None = None, ids: IdRange | None = None) -> int:
        """How many entries."""
        self._answer()
        return len(self.live.of(kind, tenant_id, ids))

    def remove_range(self, kind: Kind, ids: IdRange, tenant_id: UUID | None = None) -> int:
        """Remove everything in the range."""
        found = self.live.of(kind, tenant_id, ids)
        self.apply([Removal(key, self.live.held[key][0] + 1) for key in found])
        return len(found)

    def ping(self) -> None:
        """Return unless told to be unavailable."""
        self._answer()

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailable(self.name, "away")


class FakeSearchStore(FakeMirror):
    """`SearchStore` in memory; a score is the number of question words found."""

    name = "elasticsearch"
    schema = "fake"

    def __init__(self) -> None:
        super().__init__()
        self.next: dict[Kind, Shelf] = {}

    def _apply(self, change: Change) -> ItemResult:
        if isinstance(change, Upsert) and isinstance(change.document, VectorDocument):
            raise TypeError("Vectors do not go to the search store.")
        for shelf in (self.next.get(change.key.kind), self.live):
            if shelf is not None:
                shelf.put(change)
        return ItemResult(change.key, Outcome.DONE)

    def candidates(self, words: str, question: str, where: SearchFilter, limit: int = 200) -> Candidates:
        """Messages by their context, sessions by their best chapter."""
        self._answer()
        messages = self._scores(Kind.MESSAGES, words, where)
        owner = SearchFilter(
            tenant_id=where.tenant_id,
            customer_id=where.customer_id,
            session_id=where.session_id,
            shared=where.shared,
        )
        sessions: dict[UUID, float] = {}
        for key, score in self._scores(Kind.CHAPTERS, question, owner):
            sessions[key.id] = max(score, sessions.get(key.id, 0.0))
        return Candidates(
            tuple(LexicalHit(key.id, score) for key, score in messages[:limit]),
            tuple(SessionScore(*item) for item in _best_first(sessions.items())),
        )

    def matches(
        self, kind: Kind, words: str, where: SearchFilter, limit: int = 200
    ) -> tuple[LexicalHit, ...]:
        """Entries of a kind by their own text."""
        self._answer()
        return tuple(LexicalHit(key.id, score) for key, score in self._scores(kind, words, where)[:limit])

    def _scores(self, kind: Kind, words: str, where: SearchFilter) -> list[tuple[MirrorKey, float]]:
        asked = set(lexemes(words))
        found = []
        for key in _allowed(self.live, kind, where):
            terms = Counter(lexemes(_text(self.live.held[key][1])))
            score = sum(min(2.0, 0.9 + 0.1 * terms[term]) for term in asked if term in terms)
            if score:
                found.append((key, score))
        return _best_first(found)

    def held(self, kind: Kind, tenant_id: UUID, ids: Sequence[UUID]) -> Iterator[MirroredVersion]:
        """Every entry of these ids, all chapters of a session."""
        self._answer()
        for key in self.live.of(kind, tenant_id):
            if key.id in ids:
                yield MirroredVersion(key, self.live.held[key][0])

    def ensure_indexes(self) -> list[str]:
        """Nothing is ever missing."""
        self._answer()
        return []

    def begin_rebuild(self, kind: Kind) -> str:
        """An empty shelf beside the live one."""
        self._answer()
        self.next[kind] = Shelf()
        return f"{kind}-next"

    def apply_to_rebuild(self, kind: Kind, changes: Sequence[Change]) -> list[ItemResult]:
        """As `apply`, onto the new shelf only."""
        self._answer()
        for change in changes:
            self.next[kind].put(change)
        return [ItemResult(change.key, Outcome.DONE) for change in changes]

    def finish_rebuild(self, kind: Kind) -> str:
        """The new shelf's entries of this kind take the place of the old ones."""
        self._answer()
        new = self.next.pop(kind)
        for key in self.live.of(kind):
            del self.live.held[key]
        self.live.held |= new.held
        self.live.gone |= new.gone
        return str(kind)

    def abandon_rebuild(self, kind: Kind) -> None:
        """Forget the new shelf."""
        self._answer()
        self.next.pop(kind, None)


class FakeVectorStore(FakeMirror):
    """`VectorStore` in memory, exact."""

    name = "milvus"

    def __init__(self, dimension: int = 8) -> None:
        super().__init__()
        self.dimension = dimension

    def _apply(self, change: Change) -> ItemResult:
        if isinstance(change, Upsert):
            if not isinstance(change.document, VectorDocument):
                raise TypeError("Only vectors go to the vector store.")
            if reason := flaw_of(change.document.vector, self.dimension):
                return ItemResult(change.key, Outcome.REJECTED, reason)
        return super()._apply(change)

    def search(
        self, vectors: Sequence[Vector], where: SearchFilter, kind: Kind = Kind.MESSAGES, limit: int = 100
    ) -> list[tuple[VectorHit, ...]]:
        """For each vector its nearest ids."""
        self._answer()
        refuse_flaws(vectors, self.dimension)
        allowed = [(key, _vector(self.live.held[key][1])) for key in _allowed(self.live, kind, where)]
        return [
            tuple(
                VectorHit(key.id, score)
                for key, score in _best_first((key, _cosine(vector, held)) for key, held in allowed)[:limit]
            )
            for vector in vectors
        ]

    def ensure_collection(self) -> bool:
        """Nothing is ever missing."""
        self._answer()
        return False

    def leaves_residue(self) -> bool:
        """There are no files."""
        self._answer()
        return False

    def rebuild_by_copy(self, after_page: Callable[[], None] = lambda: None) -> int:
        """Nothing lingers in a dictionary."""
        self._answer()
        return len(self.live.held)

    def drop(self) -> None:
        """Forget everything."""
        self._answer()
        self.live = Shelf()


class FakeWindow:
    """`WindowStore` in memory; nothing expires."""

    name = "redis"

    def __init__(self, size: int = 20) -> None:
        self.size = size
        self.lists: dict[WindowKey, list[bytes]] = {}
        self.is_away = False

    def push(self, pushes: Pushes) -> None:
        """Add messages just committed."""
        self._answer()
        for (key, epoch), entries in pushes.items():
            self.lists[key] = (self.lists.get(key, []) + pushed(key, epoch, entries))[-self.size :]

    def read(self, key: WindowKey, epoch: int, head: int, limit: int) -> tuple[WindowEntry, ...] | None:
        """The last `limit` messages, or None."""
        self._answer()
        return unbroken(self.lists.get(key, []), key, epoch, head, limit)

    def refill(
        self, key: WindowKey, epoch: int, head: int, entries: Sequence[WindowEntry], *, complete: bool
    ) -> None:
        """Replace the window."""
        self._answer()
        kept = entries[-self.size :]
        complete = complete and len(kept) == len(entries)
        self.lists[key] = refilled(key, epoch, head, kept, complete=complete)

    def forget(self, key: WindowKey) -> None:
        """Drop the window."""
        self._answer()
        self.lists.pop(key, None)

    def wake(self, key: WindowKey) -> None:
        """Nobody listens here."""
        self._answer()

    def present(self, keys: Sequence[WindowKey]) -> set[WindowKey]:
        """Those that have one."""
        self._answer()
        return set(keys) & self.lists.keys()

    def keys(self, tenant_id: UUID | None = None) -> Iterator[WindowKey]:
        """Every session that has a window."""
        self._answer()
        yield from [key for key in self.lists if tenant_id in (None, key.tenant_id)]

    def ping(self) -> None:
        """Return unless told to be unavailable."""
        self._answer()

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailable(self.name, "away")


def _allowed(shelf: Shelf, kind: Kind, where: SearchFilter) -> list[MirrorKey]:
    if not isinstance(where.tenant_id, UUID):
        raise TenantMissing("A search was built without a tenant.")
    return [key for key in shelf.of(kind, where.tenant_id) if _passes(key, shelf.held[key][1], where)]


def _passes(key: MirrorKey, document: Document, where: SearchFilter) -> bool:
    def seen(name: str) -> object:
        return getattr(document, name, None)

    customer_id = seen("customer_id")
    mine = customer_id == where.customer_id if where.customer_id else not where.shared or customer_id is None
    session_id = key.id if key.kind is Kind.CHAPTERS else seen("session_id")
    kind = seen("memory_kind") or seen("kind")
    return (
        (mine or (where.shared and customer_id is None))
        and where.session_id in (None, session_id)
        and where.role in (None, seen("role"))
        and where.language in (None, seen("language"))
        and where.kind in (None, kind)
        and _is_current(document, where)
    )


def _is_current(document: Document, where: SearchFilter) -> bool:
    created_at, expires_at = document.created_at, getattr(document, "expires_at", None)
    return (
        (where.start is None or created_at >= where.start)
        and (where.end is None or created_at < where.end)
        and (where.min_id is None or created_at >= moment_of(where.min_id))
        and (where.now is None or expires_at is None or expires_at > where.now)
    )


def _text(document: Document) -> str:
    for name in ("context", "text", "knowledge"):
        if text := getattr(document, name, None):
            return str(text)
    return ""


def _vector(document: Document) -> Vector:
    if not isinstance(document, VectorDocument):
        raise TypeError("Only vectors go to the vector store.")
    return document.vector


def _cosine(one: Vector, other: Vector) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


Scored = TypeVar("Scored")


def _best_first(found: Iterable[tuple[Scored, float]]) -> list[tuple[Scored, float]]:
    return sorted(found, key=lambda item: -item[1])
