"""Messages as the mirrors see them: live, scrubbed, each with its two predecessors in the session."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.db import connections

from conversations.ranking import date_text

CHAPTER = 50  # messages of a session in one search document
REACH = 2  # predecessors that a turn's context holds


@dataclass(frozen=True, slots=True)
class Turn:
    id: UUID
    tenant_id: UUID
    session_id: UUID
    customer_id: UUID | None
    role: str
    name: str | None
    language: str | None
    position: int
    created_at: datetime
    occurred_at: datetime | None
    text: str  # scrubbed, with what attachments say
    row_version: int

    @property
    def chapter(self) -> int:
        return (self.position - 1) // CHAPTER

    @property
    def line(self) -> str:
        """The turn inside its session's document: who, what, when."""
        return f"{self.name or self.role}: {self.text} ({date_text(self.occurred_at or self.created_at)})"


@dataclass(frozen=True, slots=True)
class Window:
    """A turn and what came just before it."""

    turn: Turn
    before: tuple[Turn, ...]  # at most two, oldest first

    @property
    def texts(self) -> list[str]:
        return [turn.text for turn in (*self.before, self.turn)]


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a live message."""

    tenant_id: UUID
    session_id: UUID
    position: int


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring positions of a session, both ends included."""

    tenant_id: UUID
    session_id: UUID
    first: int
    last: int


class Turns:
    """Live turns of some runs, by their place."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._by_place = {(turn.session_id, turn.position): turn for turn in turns}

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._by_place.values())

    def window(self, place: Place) -> Window | None:
        """The turn at that place with its predecessors, if they were read; None if it is gone."""
        turn = self._at(place.session_id, place.position)
        if turn is None:
            return None
        before = (self._at(place.session_id, place.position - back) for back in range(REACH, 0, -1))
        return Window(turn, tuple(earlier for earlier in before if earlier is not None))

    def chapter(self, session_id: UUID, chapter: int) -> list[Turn]:
        """A session's turns of one chapter, in order."""
        first = chapter * CHAPTER + 1
        found = (self._at(session_id, position) for position in range(first, first + CHAPTER))
        return [turn for turn in found if turn is not None]

    def _at(self, session_id: UUID, position: int) -> Turn | None:
        return self._by_place.get((session_id, position))


_PLACES = """
    SELECT id, tenant_id, session_id, position FROM conversations_message
    WHERE id = ANY (%s) AND hidden_at IS NULL
"""
# The session's span of time lets the planner skip the partitions that cannot hold its messages. The order asked for
# is that of the index by session and position: without statistics the one by id looks as cheap, and reads the tenant.
_TURNS = """
    SELECT m.* FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::int[]) AS r (tenant_id, session_id, first, last)
    JOIN conversations_session s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    CROSS JOIN LATERAL (
        SELECT m.id, m.tenant_id, m.session_id, m.customer_id, m.role, m.name, m.language, m.position, m.created_at,
               m.occurred_at, CASE WHEN m.scrubbed_attachments = '' THEN m.scrubbed
                                   ELSE m.scrubbed || E'\\n' || m.scrubbed_attachments END, m.row_version
        FROM conversations_message m
        WHERE m.tenant_id = r.tenant_id AND m.session_id = r.session_id AND m.position BETWEEN r.first AND r.last
          AND m.id >= uuid7_floor(s.earliest_at) AND m.id < uuid7_floor(s.last_message_at + interval '1 ms')
          AND m.hidden_at IS NULL
        ORDER BY m.tenant_id, m.session_id, m.position LIMIT r.last - r.first + 1) m
"""
_LENGTHS = "SELECT id, last_position FROM conversations_session WHERE id = ANY (%s)"


def locate(message_ids: Collection[UUID]) -> dict[UUID, Place]:
    """The places of the live messages among these. Reads as `ops`, across tenants, like this whole module."""
    if not message_ids:
        return {}
    with connections["ops"].cursor() as cursor:
        cursor.execute(_PLACES, [list(message_ids)])
        return {row[0]: Place(*row[1:]) for row in cursor.fetchall()}


def read_turns(runs: Collection[Run]) -> Turns:
    """The live turns of these runs, which must not overlap."""
    if not runs:
        return Turns([])
    columns: list[list[Any]] = [
        [run.tenant_id for run in runs],
        [run.session_id for run in runs],
        [run.first for run in runs],
        [run.last for run in runs],
    ]
    with connections["ops"].cursor() as cursor:
        cursor.execute(_TURNS, columns)
        return Turns(Turn(*row) for row in cursor.fetchall())


def read_windows(message_ids: Collection[UUID]) -> dict[UUID, Window]:
    """The windows of those of the messages that are live, by id."""
    places = locate(message_ids)
    turns = read_turns(runs_of((place, REACH, 0) for place in places.values()))
    found = ((message_id, turns.window(place)) for message_id, place in places.items())
    return {message_id: window for message_id, window in found if window is not None}


def runs_of(wanted: Iterable[tuple[Place, int, int]]) -> list[Run]:
    """The fewest runs that cover each place with so many positions before and after it."""
    positions: defaultdict[tuple[UUID, UUID], set[int]] = defaultdict(set)
    for place, before, after in wanted:
        around = range(max(place.position - before, 1), place.position + after + 1)
        positions[place.tenant_id, place.session_id].update(around)
    return [
        Run(*session, first, last)
        for session, found in positions.items()
        for first, last in _stretches(found)
    ]


def chapter_counts(session_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many chapters each session has ever had; sessions whose row is gone are left out."""
    if not session_ids:
        return {}
    with connections["ops"].cursor() as cursor:
        cursor.execute(_LENGTHS, [list(session_ids)])
        return {session_id: -(-last // CHAPTER) for session_id, last in cursor.fetchall()}


def _stretches(positions: Collection[int]) -> Iterator[tuple[int, int]]:
    """First and last of each stretch without a gap."""
    ordered = sorted(positions)
    breaks = [i for i, (one, next_) in enumerate(pairwise(ordered), start=1) if next_ > one + 1]
    for start, end in pairwise([0, *breaks, len(ordered)]):
        yield ordered[start], ordered[end - 1]
