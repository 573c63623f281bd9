"""What a candidate is judged by: one small function per feature, each giving one value per candidate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from conversations.analysis import whole_lexemes
from conversations.ranking.bm25 import Floats, bm25
from conversations.ranking.pool import Pool

Feature = Callable[[Pool], Floats]


def word_overlap(pool: Pool) -> Floats:
    return np.take(pool.overlap, pool.own)


def question_before(pool: Pool) -> Floats:
    """Overlap of the turn before, if it asks something: this turn may be the answer."""
    return np.take(pool.overlap, pool.question_before)


def words_two_before(pool: Pool) -> Floats:
    return np.take(pool.overlap, pool.two_before)


def words_after(pool: Pool) -> Floats:
    """Overlap of the turn after, where that is a candidate itself: nothing later is looked up or stored."""
    return np.take(pool.overlap, pool.after)


def session(pool: Pool) -> Floats:
    """The engine's score of the session; a memory, which has none, is scored by its word overlap."""
    scores = pool.column(lambda c: c.session_score)
    alone = np.array([c.session_id is None for c in pool.candidates])
    return np.where(alone, spread(word_overlap(pool)), spread(scores, among=~alone))


def vector(pool: Pool) -> Floats:
    """Cosine of question and window; what the vector store did not return counts as its last hit."""
    known = [c.cosine for c in pool.candidates if c.cosine is not None]
    last = min(known, default=0.0)
    return pool.column(lambda c: last if c.cosine is None else c.cosine)


def phrases(pool: Pool) -> Floats:
    """BM25 of the question's neighbouring stems."""
    pairs = [f" {first} {second} " for first, second in sorted(pool.question.pairs)]
    turns = [candidate.features.words for candidate in pool.candidates]
    counts = np.array([[turn.count(pair) for pair in pairs] for turn in turns], np.float64)
    lengths = np.array([max(turn.count(" ") - 2, 0) for turn in turns], np.float64)
    return bm25(counts.reshape(len(turns), -1), lengths)


def session_date(pool: Pool) -> Floats:
    """BM25 of the date of the candidate's session, written out."""
    dates = [_date_stems(candidate.date_text) for candidate in pool.candidates]
    counts = np.array([[date.count(stem) for stem in pool.question.date_stems] for date in dates], np.float64)
    return bm25(counts.reshape(len(dates), -1), np.array([len(date) for date in dates], np.float64))


def named_speaker(pool: Pool) -> Floats:
    """The question names one speaker, and it is that person speaking of themselves."""
    named = pool.question.speaker
    return pool.column(lambda c: named is not None and c.name == named and c.features.first_person)


def temporal(pool: Pool) -> Floats:
    return pool.column(lambda c: c.features.temporal > 0)


def ends_asking(pool: Pool) -> Floats:
    return pool.column(lambda c: c.features.ends_asking)


def second_person(pool: Pool) -> Floats:
    return np.log1p(pool.column(lambda c: c.features.second_person))


def proper_names(pool: Pool) -> Floats:
    """Names other than the speakers', to a question that asks for one."""
    if not pool.question.asks_for_name:
        return pool.column(lambda _: 0)
    ordinary = {"I", *pool.question.speakers}
    return np.log1p(pool.column(lambda c: len(set(c.features.proper) - ordinary)))


def when(pool: Pool) -> Floats:
    """Words of time, at most two, to a question about time."""
    return pool.column(lambda c: pool.question.asks_when * min(2, c.features.temporal))


def how_many(pool: Pool) -> Floats:
    """A number, to a question for one."""
    return pool.column(lambda c: pool.question.asks_how_many and c.features.has_number)


def spread(values: Floats, among: NDArray[np.bool_] | None = None) -> Floats:
    """Values scaled so that those `among` (all by default) reach from 0 to 1; all zeros if they are equal."""
    chosen = values if among is None else values[among]
    if not len(chosen):
        return np.zeros_like(values)
    low, high = float(chosen.min()), float(chosen.max())
    scaled: Floats = (values - low) / (high - low + 1e-9)
    return scaled


def _spread(feature: Feature) -> Feature:
    """The feature spread over all candidates; where it cannot tell them apart, they have it whole or not at all."""

    def spread_feature(pool: Pool) -> Floats:
        values = feature(pool)
        return spread(values) if np.ptp(values) else (values > 0).astype(np.float64)

    return spread_feature


@lru_cache(maxsize=4096)
def _date_stems(text: str) -> tuple[str, ...]:
    return tuple(whole_lexemes(text))


# Graded features are spread over the candidates of the query; marks are used as they are.
GRADED: Mapping[str, Feature] = MappingProxyType(
    {
        "words": word_overlap,
        "question_before": question_before,
        "words_two_before": words_two_before,
        "words_after": words_after,
        "session": session,
        "vector": vector,
        "phrases": phrases,
        "session_date": session_date,
    }
)
MARKS: Mapping[str, Feature] = MappingProxyType(
    {
        "named_speaker": named_speaker,
        "temporal": temporal,
        "ends_asking": ends_asking,
        "second_person": second_person,
        "proper_names": proper_names,
        "when": when,
        "how_many": how_many,
    }
)
FEATURES: Mapping[str, Feature] = MappingProxyType({**{k: _spread(f) for k, f in GRADED.items()}, **MARKS})
