"""Rows of new messages, and their values as parameters of the append statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from conversations import crypto
from conversations.crypto import DataKeyMaterial
from conversations.inputs import MessageIn
from conversations.services.messages.contents import Prepared, message_aad

COLUMNS = {
    "id": "uuid",
    "created_at": "timestamptz",
    "role": "text",
    "external_id": "text",
    "name": "text",
    "sealed": "bytea",
    "scrubbed": "text",
    "scrubbed_attachments": "text",
    "pii": "jsonb",
    "identifiers": "text",
    "language": "text",
    "intent": "text",
    "intent_confidence": "float8",
    "turn_id": "text",
    "model": "text",
    "usage": "jsonb",
    "agent_responses": "jsonb",
    "metadata": "jsonb",
    "occurred_at": "timestamptz",
}
# In binary: as text, each element would be escaped by itself.
ARRAYS = ", ".join(f"%({name})b::{kind}[]" for name, kind in COLUMNS.items())
_JSON = ("pii", "usage", "agent_responses", "metadata")


class NewMessage(msgspec.Struct):
    """A row about to be stored, and what its answer shows beside it."""

    id: UUID
    created_at: datetime
    session_id: UUID
    role: str
    external_id: str | None
    name: str | None
    sealed: bytes
    scrubbed: str
    scrubbed_attachments: str
    pii: list[dict[str, Any]]
    identifiers: list[bytes]
    language: str | None
    intent: str | None
    intent_confidence: float | None
    turn_id: str | None
    model: str | None
    usage: dict[str, Any] | None
    agent_responses: dict[str, Any] | None
    metadata: dict[str, Any]
    occurred_at: datetime | None
    position: int = 0  # given when it is stored


def new_message(
    given: MessageIn,
    prepared: Prepared,
    *,
    id: UUID,
    at: datetime,
    tenant_id: UUID,
    session_id: UUID,
    key: DataKeyMaterial,
) -> NewMessage:
    """The row of a message, sealed."""
    return NewMessage(
        id=id,
        created_at=at,
        session_id=session_id,
        role=given.role or "user",
        external_id=given.external_id,
        name=given.name,
        sealed=crypto.seal(prepared.plaintext, key=key, aad=message_aad(tenant_id, id)),
        scrubbed=prepared.scrubbed,
        scrubbed_attachments=prepared.scrubbed_attachments,
        pii=prepared.pii,
        identifiers=prepared.identifiers,
        language=given.language,
        intent=given.intent,
        intent_confidence=given.intent_confidence,
        turn_id=given.turn_id,
        model=given.model,
        usage=given.usage,
        agent_responses=given.agent_responses,
        metadata=given.metadata or {},
        occurred_at=given.occurred_at,
    )


def values_of(row: NewMessage) -> dict[str, Any]:
    """The row as a value for each column."""
    values = {name: getattr(row, name) for name in COLUMNS}
    return values | {name: encoded(values[name]) for name in _JSON}


def columns_of(rows: Sequence[NewMessage]) -> dict[str, list[Any] | None]:
    """The rows as one array per column; None, which `unnest` fills with nulls, if no row has a value."""
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    for name in _JSON:
        columns[name] = [encoded(value) for value in columns[name]]
    columns["identifiers"] = [_array_literal(digests) for digests in columns["identifiers"]]
    return {name: column if any(v is not None for v in column) else None for name, column in columns.items()}


def encoded(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _array_literal(digests: Sequence[bytes]) -> str:
    return "{" + ",".join(f'"\\\\x{digest.hex()}"' for digest in digests) + "}"
