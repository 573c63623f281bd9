"""Recall: candidates from the stores, features from PostgreSQL, one ranking.

Stores return ids. What is shown is read again from PostgreSQL under row-level security, and judged again there: a
stale, foreign or erased entry of a mirror can cost a place in the list, never reach a reader.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog

from conversations import ids
from conversations.backends.configured import search_store, vector_store
from conversations.backends.embedders import embedder_for
from conversations.backends.values import Candidates, SearchFilter, StoreUnavailable
from conversations.mirror.profiles import served_profile
from conversations.ports import lifecycle
from conversations.ranking import DEFAULT_PROFILE, Question, Ranked, rank
from conversations.services.recall.candidates import read_candidates
from conversations.services.recall.stores import StoreAnswers, StoreQuery, ask_stores
from conversations.statements import fetch_all
from conversations.tenancy import tenant_scope

log = structlog.get_logger(__name__)

Mode = Literal["hybrid", "text", "vector"]
NAMES_LOOKED_AT = 500  # latest messages in which speakers' names are looked for


@dataclass(frozen=True, kw_only=True)
class RecallQuery:
    """What to search for, and where. `query` is already scrubbed."""

    tenant_id: UUID
    query: str
    mode: Mode = "hybrid"
    messages: bool = True
    memories: bool = True
    customer_id: UUID | None = None
    customer: str | None = None  # the customer's own id, where it is known
    session_id: UUID | None = None
    with_shared_memories: bool = False
    memories_only_shared: bool = False
    memory_kind: str | None = None
    role: str | None = None
    language: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    newest: int | None = None  # of a store that has to look at every match, how many it looks at


@dataclass(frozen=True)
class Scene:
    """What is to be known before the stores are asked.

    Who speaks in the conversations searched, so that a name in the question is taken for one, and whether it is
    worth asking for memories.
    """

    speakers: Sequence[str]
    has_memories: bool


@dataclass(frozen=True)
class RecallResult:
    """Hits in order, each a message's or a memory's id, with the stores that answered."""

    ranked: Sequence[Ranked]
    memory_ids: frozenset[UUID]
    question: Question
    stores: Sequence[str]
    degraded: Sequence[str]

    @classmethod
    def nothing(cls, query: str) -> "RecallResult":
        return cls((), frozenset(), Question.parse(query), ("postgresql",), ())


def find(sought: RecallQuery) -> RecallResult:
    """Search and rank. Opens tenant scopes of its own: none is open while the stores are asked, a second at most."""
    with tenant_scope(sought.tenant_id):
        asked = plan(sought)
    answers = ask_stores(asked)
    with tenant_scope(sought.tenant_id):
        return weigh(sought, asked, answers)


def find_among(
    sought: RecallQuery, *, most: int, keep: Callable[[Collection[UUID]], Collection[UUID]]
) -> tuple[RecallResult, bool]:
    """As `find` by words, of those messages alone that `keep` leaves of the best `most`; whether more were proposed.

    For what no store can filter by. `keep` is called inside a tenant scope.
    """
    with tenant_scope(sought.tenant_id):
        asked = replace(plan(sought), most_by_words=most)
    answers = ask_stores(asked)
    proposed = answers.words.messages
    with tenant_scope(sought.tenant_id):
        kept = keep([hit.id for hit in proposed])
        ranked = [hit for hit in proposed if hit.id in kept][: DEFAULT_PROFILE.lexical_candidates]
        answers.words = Candidates(tuple(ranked), answers.words.sessions)
        return weigh(sought, asked, answers), len(proposed) >= most


def plan(sought: RecallQuery, scene: Scene | None = None) -> StoreQuery:
    """What to ask the stores; reads the scene unless it is given. Runs inside a tenant scope."""
    scene = scene or read_scene(sought)
    now = ids.now()
    expiry = lifecycle().expiry(sought.tenant_id)
    messages = SearchFilter(
        tenant_id=sought.tenant_id,
        customer_id=sought.customer_id,
        session_id=sought.session_id,
        role=sought.role,
        language=sought.language,
        start=sought.start,
        end=sought.end,
        min_id=ids.floor_id(expiry.floor(now)),
        newest=sought.newest,
    )
    memories = SearchFilter(
        tenant_id=sought.tenant_id,
        customer_id=None if sought.memories_only_shared else sought.customer_id,
        shared=sought.with_shared_memories or sought.memories_only_shared,
        kind=sought.memory_kind,
        now=now,
    )
    return StoreQuery(
        question=Question.parse(sought.query, names=scene.speakers, language=sought.language),
        messages=messages if sought.messages else None,
        memories=memories if sought.memories and scene.has_memories else None,
        by_words=sought.mode != "vector",
        by_vector=sought.mode != "text",
    )


def weigh(sought: RecallQuery, asked: StoreQuery, answers: StoreAnswers) -> RecallResult:
    """The answers as one ranking: a mode says which stores propose, not how proposals are judged.

    Runs inside a tenant scope.
    """
    question = None if sought.mode == "text" else asked.question.stripped
    messages, memories = read_candidates(sought.tenant_id, answers, question)
    term_vectors = embedder_for(served_profile()).term_vectors
    ranked = rank(asked.question, messages + memories, DEFAULT_PROFILE, term_vectors)
    memory_ids = frozenset(candidate.id for candidate in memories)
    return RecallResult(ranked, memory_ids, asked.question, answers.stores, answers.degraded)


def warm_up() -> None:
    """Load what the first search would otherwise wait for: the embedder, the stores' clients and connections."""
    profile = served_profile()
    embedder = embedder_for(profile)
    embedder.embed(["warm"])
    embedder.term_vectors(["warm"])
    for store in (search_store(), vector_store(profile)):
        if store is not None:
            try:
                store.ping()
            except StoreUnavailable as error:
                log.info("recall.warm_up", store=store.name, reason=error.reason)


_SPEAKERS = """
    SELECT name FROM conversations_messageindex WHERE tenant_id = %(tenant)s AND {column} = %(value)s
    ORDER BY {order} DESC LIMIT %(limit)s
"""
_OF_CUSTOMER = _SPEAKERS.format(column="customer_id", order="message_id")
_OF_SESSION = _SPEAKERS.format(column="session_id", order="position")
_OF_NOBODY = "SELECT NULL::text AS name"
_SCENE = """
    SELECT (SELECT array_agg(DISTINCT name) FROM ({speakers}) latest WHERE name IS NOT NULL),
           EXISTS (SELECT FROM conversations_memory WHERE tenant_id = %(tenant)s AND hidden_at IS NULL)
"""


def read_scene(sought: RecallQuery) -> Scene:
    """One statement. Runs inside a tenant scope."""
    value = sought.session_id or sought.customer_id
    speakers = _OF_NOBODY if value is None else _OF_SESSION if sought.session_id else _OF_CUSTOMER
    values = {"tenant": sought.tenant_id, "value": value, "limit": NAMES_LOOKED_AT}
    ((names, has_memories),) = fetch_all(_SCENE.format(speakers=speakers), values)
    return Scene(names or [], has_memories)
