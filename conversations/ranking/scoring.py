"""The weighted sum of the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from conversations.ranking.features import FEATURES
from conversations.ranking.likeness import TermVectors
from conversations.ranking.pool import Candidate, Pool
from conversations.ranking.profile import DEFAULT_PROFILE, RecallProfile
from conversations.ranking.question import Question


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place in the answer."""

    id: UUID
    score: float
    parts: dict[str, float]
    """Weighted contributions by feature; they sum to the score."""


def rank(
    question: Question,
    candidates: Sequence[Candidate],
    profile: RecallProfile = DEFAULT_PROFILE,
    term_vectors: TermVectors | None = None,
    *,
    limit: int | None = None,
) -> list[Ranked]:
    """Candidates by falling score, at most `limit`; equal scores keep the order given.

    Scores compare candidates of one query only: most features are scaled over the candidates themselves.
    """
    if not candidates:
        return []
    pool = Pool(question, candidates, profile, term_vectors)
    parts = np.stack([weight * FEATURES[name](pool) for name, weight in profile.weights.items()], axis=1)
    scores = parts.sum(axis=1)
    order = np.argsort(-scores, kind="stable")[:limit]
    names = tuple(profile.weights)
    # As lists at once: numbers taken from arrays one by one cost more than the sums.
    ordered = zip(order.tolist(), scores[order].tolist(), parts[order].tolist(), strict=True)
    return [Ranked(candidates[i].id, score, dict(zip(names, row, strict=True))) for i, score, row in ordered]
