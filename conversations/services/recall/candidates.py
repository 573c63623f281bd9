"""Reads the features of proposed messages and memories from PostgreSQL."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from conversations import ids
from conversations.analysis import TurnFeatures, decode_features
from conversations.ranking import Candidate, date_text
from conversations.services.recall.stores import StoreAnswers
from conversations.services.recall.window_vectors import window_cosines
from conversations.statements import fetch_all

BEFORE = 2  # turns before a candidate that its score looks at

# Messages as they are indexed, the turns before them where they are not among them, and memories. The turns are asked
# for in the order of the index by session and position, as `indexing.turns` does, and for its reason.
_FEATURES = """
    WITH found AS (
        SELECT message_id, session_id, position, name, coalesce(occurred_at, created_at) AS at, features
        FROM conversations_messageindex WHERE tenant_id = %(tenant)s AND message_id = ANY (%(messages)s)),
    missing AS (
        SELECT session_id, array_agg(position) AS positions FROM (
            SELECT session_id, position - before AS position FROM found CROSS JOIN generate_series(1, %(before)s) before
            WHERE position > before EXCEPT SELECT session_id, position FROM found) p GROUP BY session_id)
    SELECT 0, message_id, session_id, position, name, at, features FROM found
    UNION ALL
    SELECT 1, NULL, w.session_id, i.position, NULL, NULL, i.features
    FROM missing w JOIN conversations_session s ON s.tenant_id = %(tenant)s AND s.id = w.session_id
    CROSS JOIN LATERAL (
        SELECT i.position, i.features FROM conversations_messageindex i
        WHERE i.tenant_id = %(tenant)s AND i.session_id = w.session_id AND i.position = ANY (w.positions)
          AND i.message_id >= uuid7_floor(s.earliest_at)
          AND i.message_id < uuid7_floor(s.last_message_at + interval '1 ms')
        ORDER BY i.tenant_id, i.session_id, i.position LIMIT 1000) i
    UNION ALL
    SELECT 2, id, NULL, NULL, NULL, created_at, features FROM conversations_memory
    WHERE tenant_id = %(tenant)s AND id = ANY (%(memories)s) AND hidden_at IS NULL
      AND (expires_at IS NULL OR expires_at > %(now)s)
"""
_FOUND, _BEFORE, _MEMORY = range(3)

Place = tuple[UUID, int]
"""A session and a position in it."""


def read_candidates(
    tenant_id: UUID, answers: StoreAnswers, question: str | None
) -> tuple[list[Candidate], list[Candidate]]:
    """The proposed messages that are still indexed and the memories that are current, each in the order proposed.

    Where no vector store looked at messages their cosine with `question` is computed here, unless that is None too.
    One statement. Runs inside a tenant scope.
    """
    cosines = {hit.id: hit.score for hit in answers.vectors or ()}
    memory_cosines = {hit.id: hit.score for hit in answers.memory_vectors}
    messages = list(dict.fromkeys([*(hit.id for hit in answers.words.messages), *cosines]))
    memories = list(dict.fromkeys([*(hit.id for hit in answers.memory_words), *memory_cosines]))
    if not messages and not memories:
        return [], []
    values = {"messages": messages, "memories": memories, "before": BEFORE, "now": ids.now()}
    found: dict[UUID, tuple[Any, ...]] = {}
    features: dict[Place, TurnFeatures] = {}
    for part, *row in fetch_all(_FEATURES, {"tenant": tenant_id, **values}):
        if part != _BEFORE:
            found[row[0]] = tuple(row)
        if part != _MEMORY:
            features[row[1], row[2]] = decode_features(row[5])
    if answers.vectors is None and question is not None:
        cosines = window_cosines(tenant_id, question, [i for i in messages if i in found])
    scores = {hit.session_id: hit.score for hit in answers.words.sessions}
    return (
        [_candidate(found[i], features, cosines, scores) for i in messages if i in found],
        [_memory(found[i], memory_cosines) for i in memories if i in found],
    )


def _memory(row: tuple[Any, ...], cosines: Mapping[UUID, float]) -> Candidate:
    memory_id, *_, at, features = row
    return Candidate(
        id=memory_id,
        features=decode_features(bytes(features)),
        cosine=cosines.get(memory_id),
        date_text=date_text(at),
    )


def _candidate(
    row: tuple[Any, ...],
    features: dict[Place, TurnFeatures],
    cosines: dict[UUID, float],
    scores: dict[UUID, float],
) -> Candidate:
    message_id, session_id, position, name, at, _ = row
    return Candidate(
        id=message_id,
        session_id=session_id,
        position=position,
        name=name or "",
        features=features[session_id, position],
        previous=features.get((session_id, position - 1)),
        second_previous=features.get((session_id, position - 2)),
        cosine=cosines.get(message_id),
        session_score=scores.get(session_id, 0.0),
        date_text=date_text(at),
    )
