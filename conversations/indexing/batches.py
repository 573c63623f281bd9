"""A batch of due rows with the turns around them, read once for all documents made from it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from conversations.backends.values import ChapterDocument, Kind, MirrorKey, Upsert
from conversations.enums import Entity
from conversations.ids import moment_of
from conversations.indexing.turns import (
    CHAPTER,
    REACH,
    Place,
    Turn,
    Turns,
    Window,
    chapter_counts,
    locate,
    read_turns,
    runs_of,
)


@dataclass(frozen=True, slots=True)
class Due:
    """A row that may be stale in a store: its tenant, and the newest version that an event named."""

    entity: int
    id: UUID
    tenant_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Chapter:
    """Some fifty turns of a session as they are now, with the due rows that asked for it; without turns it is gone."""

    key: MirrorKey
    turns: list[Turn]
    due: tuple[Due, ...]

    @property
    def version(self) -> int:
        return max(*(one.version for one in self.due), *(turn.row_version for turn in self.turns), 0)

    def upsert(self) -> Upsert:
        # The session's moment, as in its id: days of chapters are days of sessions.
        document = ChapterDocument(
            customer_id=self.turns[0].customer_id,
            created_at=moment_of(self.key.id),
            text="\n".join(turn.line for turn in self.turns),
        )
        return Upsert(self.key, self.version, document)


@dataclass(frozen=True, slots=True)
class Batch:
    """Due messages with their windows (None: gone), and the chapters that they and hidden neighbours touch."""

    windows: dict[Due, Window | None]
    chapters: list[Chapter]
    closed: list[Due]  # sessions that are gone for good: their chapters went before them


def read_batch(due: Sequence[Due], *, chapters: bool = True) -> Batch:
    """Read what the messages and chapters among the due rows are now; the messages' chapters only if wanted."""
    messages = of_entity(due, Entity.MESSAGE)
    sessions = of_entity(due, Entity.CHAPTERS)
    places = locate(messages)
    counts = chapter_counts(sessions)
    wanted: dict[tuple[UUID, UUID, int], list[Due]] = {}
    for message_id, place in places.items() if chapters else ():
        wanted.setdefault(_chapter_of(place), []).append(messages[message_id])
    for session_id, count in counts.items():
        one = sessions[session_id]
        for chapter in range(count):
            wanted.setdefault((one.tenant_id, session_id, chapter), []).append(one)
    turns = read_turns(runs_of([*_around(places.values()), *_whole(wanted)]))
    return Batch(
        windows={
            one: turns.window(places[message_id]) if message_id in places else None
            for message_id, one in messages.items()
        },
        chapters=list(_chapters(wanted, turns)),
        closed=[one for session_id, one in sessions.items() if session_id not in counts],
    )


def of_entity(due: Iterable[Due], entity: Entity) -> dict[UUID, Due]:
    return {one.id: one for one in due if one.entity == entity}


def _chapters(wanted: dict[tuple[UUID, UUID, int], list[Due]], turns: Turns) -> Iterator[Chapter]:
    for (tenant_id, session_id, chapter), due in wanted.items():
        key = MirrorKey(Kind.CHAPTERS, tenant_id, session_id, chapter)
        yield Chapter(key, turns.chapter(session_id, chapter), tuple(due))


def _chapter_of(place: Place) -> tuple[UUID, UUID, int]:
    return place.tenant_id, place.session_id, (place.position - 1) // CHAPTER


def _around(places: Iterable[Place]) -> Iterator[tuple[Place, int, int]]:
    return ((place, REACH, 0) for place in places)


def _whole(wanted: Iterable[tuple[UUID, UUID, int]]) -> Iterator[tuple[Place, int, int]]:
    for tenant_id, session_id, chapter in wanted:
        yield Place(tenant_id, session_id, chapter * CHAPTER + 1), 0, CHAPTER - 1
