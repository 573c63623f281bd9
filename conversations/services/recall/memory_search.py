"""Memory search: by text, by a vector from the caller, or by both."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import structlog

from conversations import ids
from conversations.backends.configured import vector_store
from conversations.backends.embedders import EmbeddingProfile, embedder_for
from conversations.backends.values import Kind, SearchFilter, StoreUnavailable, Vector, VectorHit
from conversations.indexing.changes import memory_vectors
from conversations.memory_inputs import MemorySearch
from conversations.mirror.profiles import served_profile
from conversations.models import Memory
from conversations.ports import lifecycle
from conversations.ranking import Question, Ranked
from conversations.services.customers import find_customer
from conversations.services.memories.vectors import named_profile, unit_vector
from conversations.services.recall.pipeline import RecallQuery, RecallResult, find
from conversations.services.recall.search import hydrate, scrubbed_query
from conversations.tenancy import tenant_scope

log = structlog.get_logger(__name__)

OVERFETCH = 4  # times what is asked for, against entries of the mirror that are stale
MOST_COMPARED = 5_000  # memories that PostgreSQL compares by itself: the latest
RANKS = 60  # the constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)


def search_memories(tenant_id: UUID, asked: MemorySearch) -> dict[str, Any]:
    """The answer to a search. Opens tenant scopes of its own, between which the stores are asked.

    Invalid for a vector that is none of the profile's, or an unknown profile.
    """
    asked.normal()
    profile = named_profile(asked.profile)
    vector = unit_vector(asked.embedding, profile) if asked.embedding is not None else None
    sought = _sought(tenant_id, asked)
    found = (
        RecallResult.nothing(asked.query or "") if sought is None else _find(sought, asked, profile, vector)
    )
    return {
        "object": "list",
        "data": hydrate(sought, found, asked.top_k) if sought else [],
        "mode": "vector" if asked.query is None else "hybrid",
        "stores": found.stores,
        "degraded": found.degraded,
    }


def _sought(tenant_id: UUID, asked: MemorySearch) -> RecallQuery | None:
    """What to search for; None for a customer who is unknown or forgotten."""
    customer = None
    if asked.customer_id is not None:
        with tenant_scope(tenant_id):
            customer = find_customer(tenant_id, asked.customer_id)
            if customer is None or lifecycle().summaries_over(tenant_id, [customer.id]):
                return None
    return RecallQuery(
        tenant_id=tenant_id,
        query=scrubbed_query(tenant_id, asked.query) if asked.query is not None else "",
        messages=False,
        customer_id=customer.id if customer else None,
        memory_kind=asked.kind,
    )


def _find(
    sought: RecallQuery, asked: MemorySearch, profile: EmbeddingProfile, vector: Vector | None
) -> RecallResult:
    if vector is None and profile == served_profile():
        return find(sought)
    if vector is None:
        vector = embedder_for(profile).embed([sought.query])[0]
    near, stores, degraded = _near(sought, profile, vector, asked.top_k * OVERFETCH)
    question = Question.parse(sought.query)
    ranked = [Ranked(hit.id, hit.score, {"vector": hit.score}) for hit in near]
    if asked.query is not None:
        by_words = find(sought)
        ranked = _fused(ranked, by_words.ranked)
        question = by_words.question
        stores = list(dict.fromkeys([*by_words.stores, *stores]))
        degraded = list(dict.fromkeys([*by_words.degraded, *degraded]))
    return RecallResult(ranked, frozenset(hit.id for hit in ranked), question, stores, degraded)


def _fused(*lists: Sequence[Ranked]) -> list[Ranked]:
    """Reciprocal rank fusion: compares ranks, because the scores have different scales."""
    parts: dict[UUID, dict[str, float]] = {}
    for name, hits in zip(("vector", "words"), lists, strict=True):
        for place, hit in enumerate(hits, 1):
            parts.setdefault(hit.id, {})[name] = 1 / (RANKS + place)
    fused = [Ranked(identifier, sum(scores.values()), scores) for identifier, scores in parts.items()]
    return sorted(fused, key=lambda hit: -hit.score)


def _near(
    sought: RecallQuery, profile: EmbeddingProfile, vector: Vector, limit: int
) -> tuple[Sequence[VectorHit], list[str], list[str]]:
    """The nearest memories by Milvus, or by PostgreSQL itself where that is off or down."""
    where = SearchFilter(
        tenant_id=sought.tenant_id,
        customer_id=sought.customer_id,
        kind=sought.memory_kind,
        now=ids.now(),
    )
    store = vector_store(profile)
    degraded: list[str] = []
    if not vector.any():  # no word that the model knows
        return (), ["postgresql"], degraded
    if store is not None:
        try:
            return store.search([vector], where, Kind.MEMORIES, limit)[0], ["postgresql", "milvus"], degraded
        except StoreUnavailable as error:
            log.info("memories.store_unavailable", store=error.store, reason=error.reason)
            degraded.append(error.store)
    with tenant_scope(sought.tenant_id):
        return _compared(sought, profile, vector, limit), ["postgresql"], degraded


def _compared(sought: RecallQuery, profile: EmbeddingProfile, vector: Vector, limit: int) -> list[VectorHit]:
    rows = Memory.objects.for_tenant(sought.tenant_id).current(ids.now())
    asked = {"customer_id": sought.customer_id, "kind": sought.memory_kind}
    rows = rows.filter(**{name: value for name, value in asked.items() if value is not None})
    latest = rows.order_by("-id").only("id", "tenant_id", "scrubbed", "embedding", "profile")[:MOST_COMPARED]
    served = profile == served_profile()
    here = [row for row in latest if row.profile == profile.name or (served and row.profile is None)]
    vectors = memory_vectors(here, embedder_for(profile))
    if not vectors:
        return []
    cosines = np.stack(list(vectors.values())) @ vector
    hits = [VectorHit(row_id, float(cosine)) for row_id, cosine in zip(vectors, cosines, strict=True)]
    return sorted(hits, key=lambda hit: -hit.score)[:limit]
