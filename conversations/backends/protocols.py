"""What the mirror and the search services expect from a store.

Stores hold copies and return ids: nothing read from a store is shown before PostgreSQL has confirmed it.
Every store raises `StoreUnavailable` when it cannot answer, and nothing else for reasons of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from uuid import UUID

from conversations.backends.values import (
    Candidates,
    Change,
    DayDigest,
    IdRange,
    ItemResult,
    Kind,
    LexicalHit,
    MirroredVersion,
    MirrorKey,
    Pushes,
    SearchFilter,
    Vector,
    VectorHit,
    WindowEntry,
    WindowKey,
)


class LexicalSearch(Protocol):
    """Finds ids by words; Elasticsearch and PostgreSQL both do."""

    name: str

    def candidates(self, words: str, question: str, where: SearchFilter, limit: int = 200) -> Candidates:
        """Messages whose context matches `words`, session scores for the whole `question`; one round trip.

        Session scores look at tenant, customer and session of `where` only: a chapter has many roles
        and times.
        """
        ...

    def matches(
        self, kind: Kind, words: str, where: SearchFilter, limit: int = 200
    ) -> tuple[LexicalHit, ...]:
        """Best first: ids of `kind` (memories, archive, sessions by their knowledge) matching `words`."""
        ...


class Mirror(Protocol):
    """The writing side of a store, for the drain, rebuild, verify, purge and erasure."""

    name: str

    def apply(self, changes: Sequence[Change]) -> list[ItemResult]:
        """Send all changes in order, at most 10 s; one judgement each, in the order given.

        Idempotent: older versions than the stored one are DONE without effect.
        Raises `StoreUnavailable` when no change was judged; nothing is known about them then.
        """
        ...

    def versions(
        self, kind: Kind, tenant_id: UUID, start: dt.datetime | None = None, end: dt.datetime | None = None
    ) -> Iterator[MirroredVersion]:
        """Every entry of the tenant whose time is in [start, end), in no order."""
        ...

    def day_digests(self, kind: Kind, tenant_id: UUID) -> Iterator[DayDigest]:
        """Count and digest for each UTC day on which the tenant has entries."""
        ...

    def present(self, keys: Sequence[MirrorKey]) -> set[MirrorKey]:
        """Those of the keys that the store still holds; deletes just made are seen."""
        ...

    def count(self, kind: Kind, tenant_id: UUID | None = None, ids: IdRange | None = None) -> int:
        """How many entries: of one tenant, or of all for operators; deletes just made are seen."""
        ...

    def remove_range(self, kind: Kind, ids: IdRange, tenant_id: UUID | None = None) -> int:
        """Remove everything in the range, of one tenant or of all; how many went."""
        ...

    def ping(self) -> None:
        """Return when the store is there and has what we need of it; else raise `StoreUnavailable`."""
        ...


class SearchStore(LexicalSearch, Mirror, Protocol):
    """Elasticsearch: lexical search over indices that can be rebuilt beside themselves."""

    @property
    def schema(self) -> str:
        """Changes when the mappings or settings do, and then the indices want a rebuild."""
        ...

    def held(self, kind: Kind, tenant_id: UUID, ids: Sequence[UUID]) -> Iterator[MirroredVersion]:
        """Every entry of these ids: of a session all chapters, however many there were."""
        ...

    def ensure_indexes(self) -> list[str]:
        """Make what is missing, touch nothing else; names of the indices made."""
        ...

    def begin_rebuild(self, kind: Kind) -> str:
        """Make an empty index beside the live one; from now on `apply` writes to both. Its name."""
        ...

    def apply_to_rebuild(self, kind: Kind, changes: Sequence[Change]) -> list[ItemResult]:
        """As `apply`, into the new index only."""
        ...

    def finish_rebuild(self, kind: Kind) -> str:
        """Switch the alias to the new index in one step, then drop the old one. The new index's name."""
        ...

    def abandon_rebuild(self, kind: Kind) -> None:
        """Drop a half-built index; without one, do nothing."""
        ...


class VectorStore(Mirror, Protocol):
    """Milvus: one collection, made for one embedding profile."""

    dimension: int

    def search(
        self, vectors: Sequence[Vector], where: SearchFilter, kind: Kind = Kind.MESSAGES, limit: int = 100
    ) -> list[tuple[VectorHit, ...]]:
        """For each vector its nearest ids, best first; a filter that is not made of ids is refused."""
        ...

    def ensure_collection(self) -> bool:
        """Make the collection if it is missing and load it; whether it was made."""
        ...

    def leaves_residue(self) -> bool:
        """Whether deleted vectors stay in files until `rebuild_by_copy` (Milvus Lite never compacts them away)."""
        ...

    def rebuild_by_copy(self, after_page: Callable[[], None] = ...) -> int:
        """Copy all vectors to a new collection, drop the old: no deleted vector stays on disk.

        Long for a large collection; `after_page` is called now and then.
        """
        ...

    def drop(self) -> None:
        """Drop the collection; without one, do nothing."""
        ...


class WindowStore(Protocol):
    """The last messages of a session, for an hour after the last touch.

    `epoch` and `head` (the session's last given position) come from PostgreSQL: a window that does not
    carry this epoch or does not reach that head is a miss, so a lost push or a hidden message never shows.
    """

    name: str

    def push(self, pushes: Pushes) -> None:
        """Add messages just committed."""
        ...

    def read(self, key: WindowKey, epoch: int, head: int, limit: int) -> tuple[WindowEntry, ...] | None:
        """The last `limit` messages, oldest first (fewer only if the session has no more); None is a miss."""
        ...

    def refill(
        self, key: WindowKey, epoch: int, head: int, entries: Sequence[WindowEntry], *, complete: bool
    ) -> None:
        """Replace the window by these, oldest first; `complete` when the session has none before them."""
        ...

    def forget(self, key: WindowKey) -> None:
        """Drop the window."""
        ...

    def wake(self, key: WindowKey) -> None:
        """Wake who listens to the session; a push and a forgetting do so, too."""
        ...

    def present(self, keys: Sequence[WindowKey]) -> set[WindowKey]:
        """Those of the sessions that have a window."""
        ...

    def keys(self, tenant_id: UUID | None = None) -> Iterator[WindowKey]:
        """Every session that has a window."""
        ...

    def ping(self) -> None:
        """Return when the store answers; else raise `StoreUnavailable`."""
        ...
