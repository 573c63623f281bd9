"""The candidates of one query side by side, with what several features share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from conversations.analysis import TurnFeatures
from conversations.ranking.bm25 import Floats, idf
from conversations.ranking.likeness import SAME_STEM, TermVectors, term_likeness
from conversations.ranking.profile import RecallProfile
from conversations.ranking.question import Question

_NO_TURN = TurnFeatures()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message or a memory that an engine proposed; a memory has no session and counts as its own."""

    id: UUID
    features: TurnFeatures
    session_id: UUID | None = None
    position: int | None = None
    name: str = ""
    """Who speaks."""
    previous: TurnFeatures | None = None
    """The turn before, in the same session."""
    second_previous: TurnFeatures | None = None
    cosine: float | None = None
    """As the vector store returned it; None if it did not return this candidate."""
    session_score: float = 0.0
    """BM25 (or ts_rank) of the session's document; 0 if the engine did not return it."""
    date_text: str = ""
    """See `date_text`."""


@dataclass(frozen=True)
class Pool:
    """Everything the features read; arrays have one value per candidate."""

    question: Question
    candidates: Sequence[Candidate]
    profile: RecallProfile
    term_vectors: TermVectors | None = None

    @cached_property
    def turns(self) -> list[TurnFeatures]:
        """The turns whose words count, every object once; the first is an empty turn."""
        given = (turn for trio in self._trios for turn in trio if turn is not None)
        return [_NO_TURN, *{id(turn): turn for turn in given}.values()]

    @cached_property
    def own(self) -> NDArray[np.intp]:
        """Index in `turns` of the candidate's own turn."""
        return self._places[:, 0]

    @cached_property
    def question_before(self) -> NDArray[np.intp]:
        """Index in `turns` of the turn before, if it asks something; else 0."""
        return self._places[:, 1]

    @cached_property
    def two_before(self) -> NDArray[np.intp]:
        """Index in `turns` of the turn before the last; 0 if there is none."""
        return self._places[:, 2]

    @cached_property
    def after(self) -> NDArray[np.intp]:
        """Index in `turns` of the turn after, if it is a candidate too; else 0."""
        by_place = {
            (c.session_id, c.position): int(own) for c, own in zip(self.candidates, self.own, strict=True)
        }
        places = [(c.session_id, c.position + 1) if c.position is not None else None for c in self.candidates]
        return np.array([by_place.get(place, 0) if place else 0 for place in places], np.intp)

    @cached_property
    def overlap(self) -> Floats:
        """M of every turn: each question term's idf times its likeness to the nearest term of the turn."""
        likeness = term_likeness(self.question, self.turns, self.profile.similarity_floor, self.term_vectors)
        containing = (likeness[:, self.own] == SAME_STEM).sum(axis=1).astype(np.float64)
        total: Floats = idf(len(self.candidates), containing) @ likeness
        return total

    def column(self, read: Callable[[Candidate], float]) -> Floats:
        return np.array([read(candidate) for candidate in self.candidates], np.float64)

    @cached_property
    def _trios(self) -> list[tuple[TurnFeatures, TurnFeatures | None, TurnFeatures | None]]:
        return [
            (c.features, c.previous if c.previous and c.previous.questions else None, c.second_previous)
            for c in self.candidates
        ]

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        place = {id(turn): i for i, turn in enumerate(self.turns)} | {id(None): 0}
        return np.array([[place[id(turn)] for turn in trio] for trio in self._trios], np.intp).reshape(-1, 3)
