"""Values passed between the services and the stores: keys, documents, changes, hits."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


class StoreUnavailable(Exception):
    """The store did not answer in time, refused the connection, or its breaker is open."""

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"{store}: {reason}")
        self.store = store
        self.reason = reason


class IndexMissing(StoreUnavailable):
    """The store answers, but an index or collection of ours is not there."""


class Kind(StrEnum):
    """What is mirrored: one index each in the search store; vectors know messages and memories only."""

    MESSAGES = "messages"
    CHAPTERS = "chapters"
    SESSIONS = "sessions"
    MEMORIES = "memories"
    ARCHIVE = "archive"


class Outcome(StrEnum):
    """What became of a change: stored (or something newer is), to be sent again, refused for good, or no answer."""

    DONE = "done"
    RETRY = "retry"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"

    @property
    def is_open(self) -> bool:
        """Whether the change has to be sent again."""
        return self in (Outcome.RETRY, Outcome.UNANSWERED)


@dataclass(frozen=True, slots=True, order=True)
class MirrorKey:
    """Names one mirrored thing; `part` is the chapter's number within the session `id`, from 0."""

    kind: Kind
    tenant_id: UUID
    id: UUID
    part: int | None = None

    def __str__(self) -> str:
        name = f"{self.tenant_id}:{self.id}"
        return name if self.part is None else f"{name}:{self.part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDocument:
    """One message; `context` is its text and its two predecessors' in the session, all scrubbed."""

    session_id: UUID
    customer_id: UUID | None
    role: str
    language: str | None
    position: int
    created_at: dt.datetime
    text: str
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterDocument:
    """Fifty messages of a session as one text: speakers, scrubbed words and the date.

    `created_at` is the session's, as in its id.
    """

    customer_id: UUID | None
    created_at: dt.datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDocument:
    """What is counted about a session, and the scrubbed knowledge that closed it."""

    customer_id: UUID | None
    channel: str | None
    language: str | None
    outlet_id: str | None
    status: str
    created_at: dt.datetime
    closed_at: dt.datetime | None = None
    message_count: int = 0
    intents: tuple[str, ...] = ()
    issue_type: str | None = None
    entities: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    success: bool | None = None
    resolution_seconds: float | None = None
    knowledge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryDocument:
    """A remembered fact, note, material or runbook, scrubbed; without a customer it is the tenant's."""

    customer_id: UUID | None
    kind: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveDocument:
    """The scrubbed text of an archived message, for compliance staff only."""

    session_id: UUID
    customer_id: UUID | None
    role: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorDocument:
    """The vector of a message or memory with what it may be filtered by."""

    session_id: UUID | None
    customer_id: UUID | None
    role: str | None
    language: str | None
    created_at: dt.datetime
    expires_at: dt.datetime | None
    vector: Vector
    memory_kind: str | None = None


Document = (
    MessageDocument | ChapterDocument | SessionDocument | MemoryDocument | ArchiveDocument | VectorDocument
)


@dataclass(frozen=True, slots=True)
class Upsert:
    """Make the store hold this document, unless it holds a newer version."""

    key: MirrorKey
    version: int
    document: Document


@dataclass(frozen=True, slots=True)
class Removal:
    """Make the store forget this key, unless it holds a newer version."""

    key: MirrorKey
    version: int


Change = Upsert | Removal


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The store's judgement of one change; `detail` is an error type, never content."""

    key: MirrorKey
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MirroredVersion:
    """What the store holds: a key and the `row_version` it was written with."""

    key: MirrorKey
    version: int


def fingerprint(id: UUID, version: int, part: int | None = None) -> int:
    """32 bits of (id, part, version): small enough that a day's sum is exact in a double.

    SQL twin: `('x' || left(md5(concat_ws(':', id, part, row_version)), 8))::bit(32)::bigint`.
    """
    name = f"{id}:{version}" if part is None else f"{id}:{part}:{version}"
    return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8], 16)


@dataclass(frozen=True, slots=True)
class DayDigest:
    """How many entries a tenant has for the ids of one UTC day, and the sum of their `fingerprint`s."""

    tenant_id: UUID
    day: dt.date
    count: int
    digest: int


def digest_days(tenant_id: UUID, dated: Iterable[tuple[dt.date, MirroredVersion]]) -> Iterator[DayDigest]:
    """The digests of a tenant's entries by the UTC day that the store knows them under, oldest day first."""
    days: dict[dt.date, tuple[int, int]] = {}
    for day, held in dated:
        count, digest = days.get(day, (0, 0))
        days[day] = (count + 1, digest + fingerprint(held.key.id, held.version, held.key.part))
    for day, (count, digest) in sorted(days.items()):
        yield DayDigest(tenant_id, day, count, digest)


@dataclass(frozen=True, slots=True)
class IdRange:
    """UUIDv7 ids from `first` up to, not including, `before`."""

    first: UUID
    before: UUID


ALL_IDS = IdRange(UUID(int=0), UUID(int=(1 << 128) - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """Where a search may look. The tenant is always given; the rest narrows.

    `min_id` is the UUIDv7 bound of what has not expired; `now` hides what has its own `expires_at`;
    `shared` widens a customer to what belongs to no customer (the tenant's memories).
    `newest` bounds the work: only so many of the newest messages that match are ranked. PostgreSQL heeds it, which has
    to look at every match to know the best; the other engines find the best without.
    Times are `created_at` in [start, end). Mirrors know them to the millisecond and rather find one too many.
    """

    tenant_id: UUID
    customer_id: UUID | None = None
    session_id: UUID | None = None
    role: str | None = None
    language: str | None = None
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    min_id: UUID | None = None
    kind: str | None = None
    now: dt.datetime | None = None
    shared: bool = False
    newest: int | None = None


def floor_ms(at: dt.datetime) -> int:
    """Milliseconds since 1970, as stores keep times."""
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def day_of(ms: int) -> dt.date:
    """The UTC day of a time as stores keep it."""
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).date()


def ceil_ms(at: dt.datetime) -> int:
    """Milliseconds since 1970, rounded up: for an upper bound that excludes nothing by rounding."""
    return floor_ms(at) + (at.microsecond % 1000 > 0)


@dataclass(frozen=True, slots=True)
class LexicalHit:
    """A candidate and its score in the engine's own scale."""

    id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class SessionScore:
    """The best score of a session's chapters for the whole question."""

    session_id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """Best first: messages by their context, sessions by their best chapter."""

    messages: tuple[LexicalHit, ...]
    sessions: tuple[SessionScore, ...]


@dataclass(frozen=True, slots=True)
class VectorHit:
    """A neighbour and its cosine similarity, -1 to 1."""

    id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class WindowKey:
    """Identifies a window."""

    tenant_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class WindowEntry:
    """One message of a window: its position and its bytes, already sealed by the caller."""

    position: int
    sealed: bytes


Pushes = Mapping[tuple[WindowKey, int], Sequence[WindowEntry]]
"""Messages just committed, by window and epoch; positions without a gap."""
