"""Recall on LoCoMo with the product's own analysis and ranking, the stores replaced by memory.

    python benchmarks/recall_offline.py PATH-TO-LOCOMO-JSON [--without FEATURE] [--sessions bm25|ts_rank]

Prints R@10 over all questions, macro NDCG@10, session Hit@1, figures per category, and milliseconds of
ranking per question. Candidates come from BM25 over each turn and its two predecessors and from the cosine
of the same window, as Elasticsearch and Milvus would give them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from uuid import UUID

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import locomo
from conversations.analysis import analyse, lexemes, whole_lexemes
from conversations.backends.embedders import EmbeddingProfile
from conversations.backends.embedders.static import WordLlamaEmbedder
from conversations.ranking import DEFAULT_PROFILE, Candidate, Question, RecallProfile, rank
from conversations.ranking.bm25 import K1, B

Terms = Sequence[str]


class Statistics:
    """Document counts and average length of one index for all conversations."""

    def __init__(self, documents: Sequence[Terms]) -> None:
        self.count = len(documents)
        self.containing = Counter(term for document in documents for term in set(document))
        self.mean_length = float(np.mean([len(document) for document in documents]))

    def idf(self, term: str) -> float:
        containing = self.containing[term]
        return float(np.log1p((self.count - containing + 0.5) / (containing + 0.5)))


class Index:
    """What a lexical engine would answer for one conversation's documents."""

    def __init__(self, documents: Sequence[Terms], statistics: Statistics) -> None:
        self._counts = [Counter(document) for document in documents]
        lengths = np.array([len(document) for document in documents], float)
        self._damping = K1 * (1 - B + B * lengths / statistics.mean_length)
        self._statistics = statistics

    def bm25(self, asked: Terms) -> np.ndarray:
        scores = np.zeros(len(self._counts))
        for term in set(asked):
            found = np.array([counts[term] for counts in self._counts], float)
            scores += self._statistics.idf(term) * found * (K1 + 1) / (found + self._damping)
        return scores

    def ts_rank(self, asked: Terms) -> np.ndarray:
        """PostgreSQL's ts_rank for OR-ed terms: per term the sum of weight / k^2 over its occurrences."""
        occurrences = np.cumsum(1 / np.arange(1, 257) ** 2)
        scores = np.zeros(len(self._counts))
        for term in set(asked):
            found = np.array([min(counts[term], 256) for counts in self._counts])
            scores += np.where(found > 0, 0.1 * occurrences[np.maximum(found, 1) - 1] / 1.64493406685, 0)
        return scores / max(len(set(asked)), 1)


class Memory:
    """One conversation as the stores hold it."""

    def __init__(self, conversation: locomo.Conversation, embedder: WordLlamaEmbedder) -> None:
        self.conversation = conversation
        self.turns = turns = conversation.turns
        self.features = [analyse(turn.text) for turn in turns]
        self.windows = [
            [j for j in range(max(0, i - 2), i + 1) if turns[j].session == turns[i].session]
            for i in range(len(turns))
        ]
        self.vectors = embedder.embed_windows([[turns[j].text for j in window] for window in self.windows])
        self.embedder = embedder

    @cached_property
    def contexts(self) -> list[Terms]:
        own = [lexemes(turn.text) for turn in self.turns]
        return [[term for j in window for term in own[j]] for window in self.windows]

    @cached_property
    def sessions(self) -> list[Terms]:
        documents: dict[int, list[str]] = {}
        for turn in self.turns:
            line = f"{turn.speaker}: {turn.text} {turn.date}"
            documents.setdefault(turn.session, []).extend(whole_lexemes(line))
        return list(documents.values())


class Engines:
    """Candidates and session scores for one memory."""

    def __init__(self, memory: Memory, contexts: Statistics, sessions: Statistics, by_ts_rank: bool) -> None:
        self.memory = memory
        self.contexts = Index(memory.contexts, contexts)
        self.sessions = Index(memory.sessions, sessions)
        self.by_ts_rank = by_ts_rank
        numbers = {number: i for i, number in enumerate(dict.fromkeys(t.session for t in memory.turns))}
        self.session_of = [numbers[turn.session] for turn in memory.turns]

    def candidates(self, question: Question, profile: RecallProfile) -> list[Candidate]:
        cosines = self.memory.vectors @ self.memory.embedder.embed([question.stripped])[0]
        lexical = self.contexts.bm25(question.stems)
        near = np.argsort(-cosines, kind="stable")[: profile.vector_candidates]
        found = [
            i for i in np.argsort(-lexical, kind="stable")[: profile.lexical_candidates] if lexical[i] > 0
        ]
        score = self.sessions.ts_rank if self.by_ts_rank else self.sessions.bm25
        sessions = score(question.whole_stems)
        returned = set(near.tolist())
        return [
            self._candidate(
                i, float(cosines[i]) if i in returned else None, float(sessions[self.session_of[i]])
            )
            for i in sorted(returned.union(map(int, found)))
        ]

    def _candidate(self, i: int, cosine: float | None, session_score: float) -> Candidate:
        turn, window, features = self.memory.turns[i], self.memory.windows[i], self.memory.features
        return Candidate(
            id=UUID(int=i),
            session_id=UUID(int=turn.session),
            position=i,
            name=turn.speaker,
            features=features[i],
            previous=features[i - 1] if len(window) > 1 else None,
            second_previous=features[i - 2] if len(window) > 2 else None,
            cosine=cosine,
            session_score=session_score,
            date_text=turn.date,
        )


def evaluate(engines: Sequence[Engines], profile: RecallProfile) -> tuple[list[locomo.Outcome], float]:
    """Outcome of every question, and seconds spent ranking."""
    outcomes, spent = [], 0.0
    for engine in engines:
        memory = engine.memory
        for query in memory.conversation.queries:
            question = Question.parse(query.text, names=memory.conversation.names)
            candidates = engine.candidates(question, profile)
            started = time.perf_counter()
            ranked = rank(question, candidates, profile, memory.embedder.term_vectors, limit=locomo.DEPTH)
            spent += time.perf_counter() - started
            outcomes.append(locomo.judge(query, memory.turns, [hit.id.int for hit in ranked]))
    return outcomes, spent


def report(outcomes: Sequence[locomo.Outcome], spent: float) -> None:
    recall, ndcg, hit = locomo.summary(outcomes)
    milliseconds = 1e3 * spent / len(outcomes)
    print(
        f"{len(outcomes)} questions: R@10 {recall:.1f}, macro NDCG@10 {ndcg:.1f}, session Hit@1 {hit:.3f}; "
        f"ranking {milliseconds:.2f} ms a question"
    )
    for category, name in locomo.CATEGORIES.items():
        if chosen := [o for o in outcomes if o.category == category]:
            recall, ndcg, hit = locomo.summary(chosen)
            print(f"  {name:<12} {len(chosen):>5}: R@10 {recall:.1f}, NDCG@10 {ndcg:.1f}, Hit@1 {hit:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the LoCoMo file")
    parser.add_argument("--without", action="append", default=[], choices=list(DEFAULT_PROFILE.weights))
    parser.add_argument("--sessions", choices=["bm25", "ts_rank"], default="bm25")
    options = parser.parse_args()
    embedder = WordLlamaEmbedder(EmbeddingProfile.parse("wordllama:l2_supercat:256"))
    memories = [Memory(conversation, embedder) for conversation in locomo.read(options.data)]
    contexts = Statistics([document for memory in memories for document in memory.contexts])
    sessions = Statistics([document for memory in memories for document in memory.sessions])
    engines = [Engines(memory, contexts, sessions, options.sessions == "ts_rank") for memory in memories]
    weights = {
        name: weight for name, weight in DEFAULT_PROFILE.weights.items() if name not in options.without
    }
    report(*evaluate(engines, replace(DEFAULT_PROFILE, weights=weights)))


if __name__ == "__main__":
    main()
