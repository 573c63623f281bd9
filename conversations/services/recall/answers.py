"""The knowledge base: what closed similar sessions with success."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from conversations.backends.configured import search_store
from conversations.backends.postgres_lexical import PostgresLexical
from conversations.backends.protocols import LexicalSearch
from conversations.backends.values import Kind, SearchFilter, StoreUnavailable
from conversations.enums import Role, SessionStatus
from conversations.models import Message, Session
from conversations.services.messages.contents import plain_text
from conversations.services.messages.reading import present, visible_messages
from conversations.services.recall.pipeline import RecallQuery, RecallResult, find
from conversations.services.recall.search import scrubbed_query
from conversations.services.sessions import present_sessions
from conversations.tenancy import tenant_scope

log = structlog.get_logger(__name__)

# Recorded knowledge says more than a turn that happens to sound similar.
OUTCOME_WEIGHT = 0.7
TURN_WEIGHT = 0.3
CANDIDATES = 200


@dataclass(frozen=True, kw_only=True)
class AnswerSearch:
    """Without a query: the latest."""

    tenant_id: UUID
    query: str | None = None
    issue_type: str | None = None
    limit: int = 10


@dataclass(frozen=True)
class _Similar:
    """Scores of sessions, 0 to 1, by their outcomes and their messages, and the stores that answered."""

    scores: Mapping[UUID, float]
    stores: Sequence[str]
    degraded: Sequence[str]


def find_answers(asked: AnswerSearch) -> dict[str, Any]:
    """Answers best first. Opens tenant scopes of its own; none is open while stores are asked."""
    similar = None if asked.query is None else _similar(asked.tenant_id, asked.query)
    with tenant_scope(asked.tenant_id):
        solved = _solved(asked, similar)
        replies = _last_replies(asked.tenant_id, solved)
        shown = present_sessions(asked.tenant_id, solved)
    scores = {} if similar is None else similar.scores
    answers = [
        _answer(session, replies.get(session["id"]), scores.get(session["id"], 0.0)) for session in shown
    ]
    return {
        "object": "list",
        "data": [answer for answer in answers if answer["answer"]][: asked.limit],
        "stores": [PostgresLexical.name] if similar is None else similar.stores,
        "degraded": [] if similar is None else similar.degraded,
    }


def _similar(tenant_id: UUID, query: str) -> _Similar:
    words = scrubbed_query(tenant_id, query)
    by_outcome = _by_outcome(tenant_id, words)
    found = find(RecallQuery(tenant_id=tenant_id, query=words, memories=False))
    scores: dict[UUID, float] = {}
    for weight, part in ((OUTCOME_WEIGHT, by_outcome.scores), (TURN_WEIGHT, _by_turns(tenant_id, found))):
        best = max(part.values(), default=0.0)
        for session_id, score in part.items():
            scores[session_id] = scores.get(session_id, 0.0) + weight * score / best
    return _Similar(
        scores,
        stores=list(dict.fromkeys([*by_outcome.stores, *found.stores])),
        degraded=list(dict.fromkeys([*by_outcome.degraded, *found.degraded])),
    )


def _by_outcome(tenant_id: UUID, words: str) -> _Similar:
    degraded: list[str] = []
    engines: list[LexicalSearch] = [
        engine for engine in (search_store(), PostgresLexical()) if engine is not None
    ]
    for engine in engines:
        try:
            hits = engine.matches(Kind.SESSIONS, words, SearchFilter(tenant_id=tenant_id), CANDIDATES)
        except StoreUnavailable as error:
            log.info("answers.store_unavailable", store=error.store, reason=error.reason)
            degraded.append(engine.name)
        else:
            return _Similar({hit.id: hit.score for hit in hits if hit.score > 0}, [engine.name], degraded)
    raise AssertionError("PostgreSQL always answers")


def _by_turns(tenant_id: UUID, found: RecallResult) -> Mapping[UUID, float]:
    """The best score of each session's turns, from the first on."""
    ranked = {hit.id: hit.score for hit in found.ranked[:CANDIDATES] if hit.score > 0}
    with tenant_scope(tenant_id):
        rows = visible_messages(tenant_id).filter(id__in=list(ranked)).values_list("id", "session_id")
        best: dict[UUID, float] = {}
        for message_id, session_id in rows:
            best[session_id] = max(best.get(session_id, 0.0), ranked[message_id])
    return best


def _solved(asked: AnswerSearch, similar: _Similar | None) -> list[Session]:
    """The sessions among them that were closed with success, best first; more than wanted, for some say nothing."""
    rows = Session.objects.for_tenant(asked.tenant_id).live()
    rows = rows.filter(status=SessionStatus.CLOSED, outcome__success=True)
    if asked.issue_type is not None:
        rows = rows.filter(outcome__issue_type=asked.issue_type)
    if similar is None:
        return list(rows.order_by("-id")[: 2 * asked.limit])
    found = rows.filter(id__in=list(similar.scores))
    return sorted(found, key=lambda row: (-similar.scores[row.id], row.id))[: 2 * asked.limit]


def _last_replies(tenant_id: UUID, sessions: Sequence[Session]) -> Mapping[UUID, dict[str, Any]]:
    """The last message of the assistant in each session, by session."""
    rows = visible_messages(tenant_id).filter(
        session_id__in=[session.id for session in sessions], role=Role.ASSISTANT
    )
    latest: list[Message] = list(rows.order_by("session_id", "-position").distinct("session_id"))
    return {message["session_id"]: message for message in present(tenant_id, latest)}


def _answer(session: dict[str, Any], reply: dict[str, Any] | None, score: float) -> dict[str, Any]:
    said = plain_text(reply["content"]) if reply is not None else None
    shown: dict[str, Any] = {
        "object": "answer",
        "score": round(score, 6),
        "answer": session["outcome"].get("knowledge") or said,
        "session": session,
    }
    return shown if reply is None else shown | {"message": reply}
