"""What is known of the messages and memories that the stores proposed, read from PostgreSQL."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from conversations import ids
from conversations.analysis import TurnFeatures, decode_features
from conversations.backends.values import LexicalHit, SessionScore, VectorHit
from conversations.models import Memory
from conversations.ranking import Candidate, date_text
from conversations.services.window_vectors import window_cosines
from conversations.statements import fetch_all

BEFORE = 2  # turns before a candidate that its score looks at

_FOUND = """
    SELECT message_id, session_id, position, name, coalesce(occurred_at, created_at), features
    FROM conversations_messageindex WHERE tenant_id = %(tenant)s AND message_id = ANY (%(ids)s)
"""
# Asked for in the order of the index by session and position, as `indexing.turns` does, and for its reason.
_BEFORE = """
    SELECT w.session_id, i.position, i.features
    FROM unnest(%(sessions)s::uuid[], %(positions)s::text[]) AS w (session_id, positions)
    JOIN conversations_session s ON s.tenant_id = %(tenant)s AND s.id = w.session_id
    CROSS JOIN LATERAL (
        SELECT i.position, i.features FROM conversations_messageindex i
        WHERE i.tenant_id = %(tenant)s AND i.session_id = w.session_id AND i.position = ANY (w.positions::int[])
          AND i.message_id >= uuid7_floor(s.earliest_at)
          AND i.message_id < uuid7_floor(s.last_message_at + interval '1 ms')
        ORDER BY i.tenant_id, i.session_id, i.position LIMIT 1000) i
"""

Place = tuple[UUID, int]
"""A session and a position in it."""


def message_candidates(
    tenant_id: UUID,
    words: Sequence[LexicalHit],
    sessions: Sequence[SessionScore],
    vectors: Sequence[VectorHit] | None,
    question: str | None,
) -> list[Candidate]:
    """The proposed messages that are still indexed, in the order proposed. Runs inside a tenant scope.

    Without `vectors` the cosine with `question` is computed here, unless that is None too.
    """
    cosines = {hit.id: hit.score for hit in vectors or ()}
    wanted = list(dict.fromkeys([*(hit.id for hit in words), *cosines]))
    if not wanted:
        return []
    found = {row[0]: row for row in fetch_all(_FOUND, {"tenant": tenant_id, "ids": wanted})}
    rows = [found[message_id] for message_id in wanted if message_id in found]
    if vectors is None and question is not None:
        cosines = window_cosines(tenant_id, question, list(found))
    features = {(row[1], row[2]): decode_features(row[5]) for row in rows}
    features |= _features_before(tenant_id, features)
    scores = {hit.session_id: hit.score for hit in sessions}
    return [_candidate(row, features, cosines, scores) for row in rows]


def memory_candidates(
    tenant_id: UUID, words: Iterable[LexicalHit], vectors: Iterable[VectorHit]
) -> list[Candidate]:
    """The proposed memories that are current, in the order proposed. Runs inside a tenant scope."""
    cosines = {hit.id: hit.score for hit in vectors}
    wanted = list(dict.fromkeys([*(hit.id for hit in words), *cosines]))
    if not wanted:
        return []
    rows = Memory.objects.for_tenant(tenant_id).current(ids.now()).filter(id__in=wanted)
    found = {row.id: row for row in rows.only("id", "features", "created_at")}
    return [
        Candidate(
            id=row.id,
            features=decode_features(bytes(row.features)),
            cosine=cosines.get(row.id),
            date_text=date_text(row.created_at),
        )
        for row in (found[i] for i in wanted if i in found)
    ]


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


def _features_before(tenant_id: UUID, known: dict[Place, TurnFeatures]) -> dict[Place, TurnFeatures]:
    """Features of the turns just before those known, where they are not known themselves."""
    missing: defaultdict[UUID, set[int]] = defaultdict(set)
    for session_id, position in known:
        for earlier in range(max(position - BEFORE, 1), position):
            if (session_id, earlier) not in known:
                missing[session_id].add(earlier)
    if not missing:
        return {}
    values = {
        "tenant": tenant_id,
        "sessions": list(missing),
        # PostgreSQL has no arrays of arrays of different lengths.
        "positions": ["{" + ",".join(map(str, sorted(positions))) + "}" for positions in missing.values()],
    }
    return {
        (session_id, position): decode_features(data)
        for session_id, position, data in fetch_all(_BEFORE, values)
    }
