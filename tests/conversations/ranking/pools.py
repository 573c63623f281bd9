"""Candidates in few words, and word vectors in few dimensions."""

from __future__ import annotations

from uuid import UUID, uuid4

import numpy as np

from conversations.analysis import analyse
from conversations.ranking import DEFAULT_PROFILE, Candidate, Question
from conversations.ranking.pool import Pool

SESSION = UUID(int=1)
AXES = {"dog": [1, 0, 0], "puppy": [0.8, 0.6, 0], "cat": [0.2, 0.9797959, 0], "bank": [0, 0, 1]}


def vectors(words):
    """Three dimensions are enough to say what is like what; unknown words have no vector."""
    return np.array([AXES.get(word, [0, 0, 0]) for word in words], np.float32).reshape(-1, 3)


def candidate(text="", **given):
    given.setdefault("session_id", SESSION)
    for turn in ("previous", "second_previous"):
        if turn in given:
            given[turn] = analyse(given[turn])
    return Candidate(id=uuid4(), features=analyse(text), **given)


def pool(question, *candidates, names=(), term_vectors=None):
    return Pool(Question.parse(question, names=names), candidates, DEFAULT_PROFILE, term_vectors)
