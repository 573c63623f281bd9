"""Soft overlap of words: how near each question term comes to any term of a turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate, count

import numpy as np
from numpy.typing import NDArray

from conversations.analysis import TurnFeatures
from conversations.analysis.tokens import stem
from conversations.ranking.question import Question

TermVectors = Callable[[Sequence[str]], NDArray[np.float32]]
"""Written words -> unit rows (n, d); a row of zeros for a word without a vector."""

SAME_STEM = 1.0
_ALMOST = 0.999
"""The most that two different stems can have in common."""


def term_likeness(
    question: Question, turns: Sequence[TurnFeatures], floor: float, term_vectors: TermVectors | None
) -> NDArray[np.float32]:
    """For each question term and turn (terms, turns), the likeness of the turn's nearest term.

    `SAME_STEM` for the term itself, else its cosine rescaled from `floor`..1 to 0..1; without vectors only
    1 or 0.
    """
    # A turn without words contributes the empty word, which is like nothing, so that reduceat finds no gap.
    forms = " ".join(turn.forms for turn in turns).split(" ")
    starts = [0, *accumulate(turn.forms.count(" ") + 1 for turn in turns)][:-1]
    columns: defaultdict[str, int] = defaultdict(count().__next__)
    occurrences = np.fromiter(map(columns.__getitem__, forms), np.intp, len(forms))

    likeness = _cosines(question.forms, list(columns), floor, term_vectors)
    rows = {asked: row for row, asked in enumerate(question.stems)}
    for form, column in columns.items():
        if (row := rows.get(stem(form))) is not None:
            likeness[row, column] = SAME_STEM
    nearest: NDArray[np.float32] = np.maximum.reduceat(likeness[:, occurrences], starts, axis=1)
    return nearest


def _cosines(
    asked: Sequence[str], said: Sequence[str], floor: float, term_vectors: TermVectors | None
) -> NDArray[np.float32]:
    if term_vectors is None or not asked:
        return np.zeros((len(asked), len(said)), np.float32)
    # The long matrix on the left: twice as fast as the other way round.
    cosines = (term_vectors(said) @ term_vectors(asked).T).T
    rescaled: NDArray[np.float32] = np.clip((cosines - floor) / (1 - floor), 0, _ALMOST)
    return rescaled
