"""How rows look in answers (`API.md`): plain dictionaries, ready for the JSON encoder."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from conversations.enums import Sink
from conversations.models import Customer, Memory, Session

FOLLOWING: Mapping[str, bool] = {"mirrored": False, "embedded": False}


def session(row: Session, *, customer: str | None, held: bool) -> dict[str, Any]:
    """A session; `customer` is the customer's own external id."""
    return {
        "id": row.id,
        "object": "session",
        "external_id": row.external_id,
        "customer_id": customer,
        "channel": row.channel,
        "language": row.language,
        "outlet_id": row.outlet_id,
        "title": row.title,
        "status": row.status,
        "outcome": row.outcome,
        "intents": row.intents,
        "context": row.context,
        "metadata": row.metadata,
        "message_count": row.message_count,
        "created_at": row.created_at,
        "last_message_at": row.last_message_at,
        "closed_at": row.closed_at,
        "held": held,
    }


def message(
    row: Any,
    *,
    content: Any,
    attachments: Any,
    customer: str | None,
    processing: Mapping[str, bool] = FOLLOWING,
) -> dict[str, Any]:
    """A message as agents get it, from its row or from what is about to become one: the original content."""
    return {
        "id": row.id,
        "object": "message",
        "session_id": row.session_id,
        "customer_id": customer,
        "position": row.position,
        "role": row.role,
        "content": content,
        "name": row.name,
        "external_id": row.external_id,
        "intent": row.intent,
        "intent_confidence": row.intent_confidence,
        "language": row.language,
        "turn_id": row.turn_id,
        "model": row.model,
        "usage": row.usage,
        "agent_responses": row.agent_responses,
        "attachments": attachments,
        "metadata": row.metadata,
        "occurred_at": row.occurred_at,
        "created_at": row.created_at,
        "pii": row.pii,
        "processing": processing,
    }


def memory(row: Memory, *, content: str, customer: str | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "memory",
        "kind": row.kind,
        "content": content,
        "customer_id": customer,
        "external_id": row.external_id,
        "metadata": row.metadata,
        "source_message_ids": row.source_message_ids,
        "profile": row.profile,
        "expires_at": row.expires_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def customer(row: Customer) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "customer",
        "customer_id": row.external_id,
        "language": row.language,
        "metadata": row.metadata,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "last_interaction_at": row.last_interaction_at,
    }


def processing(pending: Mapping[UUID, set[int]], in_use: set[int], message_id: UUID) -> dict[str, bool]:
    """How far the stores that are in use have followed this message."""
    behind = pending.get(message_id, set())
    return {
        "mirrored": not behind & {Sink.LEXICAL, Sink.ELASTICSEARCH},
        "embedded": Sink.MILVUS in in_use and Sink.MILVUS not in behind,
    }
