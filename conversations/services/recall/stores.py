"""Queries all stores for one question, in parallel and with no transaction open."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from conversations.backends.configured import search_store, vector_store
from conversations.backends.embedders import embedder_for
from conversations.backends.postgres_lexical import PostgresLexical
from conversations.backends.protocols import LexicalSearch
from conversations.backends.values import (
    Candidates,
    Kind,
    LexicalHit,
    SearchFilter,
    StoreUnavailable,
    Vector,
    VectorHit,
)
from conversations.mirror.profiles import served_profile
from conversations.ranking import DEFAULT_PROFILE, Question

log = structlog.get_logger(__name__)

Hits = tuple[LexicalHit, ...]

NOTHING = Candidates((), ())

# The calling thread asks one store itself; these threads ask the others.
_beside = ThreadPoolExecutor(max_workers=32, thread_name_prefix="recall")


@dataclass(frozen=True, kw_only=True)
class StoreQuery:
    """A question, and where to look; a filter of None leaves that kind out."""

    question: Question
    messages: SearchFilter | None
    memories: SearchFilter | None
    by_words: bool = True
    most_by_words: int = DEFAULT_PROFILE.lexical_candidates
    by_vector: bool = True


@dataclass
class StoreAnswers:
    """The candidates, and the stores that answered. `vectors` is None if no vector store searched messages."""

    stores: list[str] = field(default_factory=lambda: ["postgresql"])
    degraded: list[str] = field(default_factory=list)
    words: Candidates = NOTHING
    vectors: tuple[VectorHit, ...] | None = None
    memory_words: Hits = ()
    memory_vectors: tuple[VectorHit, ...] = ()

    def missed(self, error: StoreUnavailable) -> None:
        log.info("recall.store_unavailable", store=error.store, reason=error.reason)
        if error.store not in self.degraded:
            self.degraded.append(error.store)


def ask_stores(asked: StoreQuery) -> StoreAnswers:
    """Ask Elasticsearch (or PostgreSQL) by words and Milvus by vector; without vectors, words stand in for them."""
    answers = StoreAnswers()
    pending = _Vectors(asked) if asked.by_vector and vector_store(served_profile()) is not None else None
    if asked.by_words or pending is None:
        _ask_by_words(asked, answers)
    if pending is not None:
        try:
            pending.collect(answers)
        except StoreUnavailable as error:
            answers.missed(error)
            if not asked.by_words:
                _ask_by_words(asked, answers)
    return answers


def _ask_by_words(asked: StoreQuery, answers: StoreAnswers) -> None:
    store = search_store()
    if store is not None:
        try:
            _ask_engine(store, asked, answers)
        except StoreUnavailable as error:
            answers.missed(error)
        else:
            answers.stores.append(store.name)
            return
    # PostgreSQL is asked by this thread, whose connection persists.
    question, limits = asked.question, DEFAULT_PROFILE
    answers.words, answers.memory_words = PostgresLexical().everything(
        question.stripped,
        question.text,
        (asked.messages, asked.most_by_words),
        (asked.memories, limits.vector_candidates),
    )


def _ask_engine(engine: LexicalSearch, asked: StoreQuery, answers: StoreAnswers) -> None:
    words, limits = asked.question.stripped, DEFAULT_PROFILE
    memories = asked.memories
    pending: Future[Hits] | None = None
    if memories is not None:
        pending = _beside.submit(
            lambda: engine.matches(Kind.MEMORIES, words, memories, limits.vector_candidates)
        )
    found = NOTHING
    if asked.messages is not None:
        found = engine.candidates(words, asked.question.text, asked.messages, asked.most_by_words)
    answers.memory_words = pending.result() if pending is not None else ()
    answers.words = found


class _Vectors:
    """Milvus, asked from another thread while this one asks by words."""

    def __init__(self, asked: StoreQuery) -> None:
        self._asked = asked
        self._pending = _beside.submit(self._ask)

    def collect(self, answers: StoreAnswers) -> None:
        """Wait, and note what was found; StoreUnavailable when Milvus does not answer."""
        messages, memories = self._pending.result()
        answers.vectors, answers.memory_vectors = messages, memories
        answers.stores.append("milvus")

    def _ask(self) -> tuple[tuple[VectorHit, ...] | None, tuple[VectorHit, ...]]:
        vector = embedder_for(served_profile()).embed([self._asked.question.stripped])[0]
        if not vector.any():  # no word that the model knows
            return (), ()
        messages, memories = self._asked.messages, self._asked.memories
        return (
            self._near(vector, messages, Kind.MESSAGES) if messages is not None else None,
            self._near(vector, memories, Kind.MEMORIES) if memories is not None else (),
        )

    def _near(self, vector: Vector, where: SearchFilter, kind: Kind) -> tuple[VectorHit, ...]:
        store = vector_store(served_profile())
        assert store is not None
        return store.search([vector], where, kind, DEFAULT_PROFILE.vector_candidates)[0]
