"""Response types for the schema; the presenters build matching plain dictionaries."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from conversations.inputs import Attachment, TextPart

JSONObject = dict[str, Any]


class SessionOut(Struct, kw_only=True):
    id: UUID
    object: Literal["session"]
    external_id: str | None
    customer_id: str | None
    channel: str | None
    language: str | None
    outlet_id: str | None
    title: str | None
    status: Literal["open", "closed"]
    outcome: JSONObject | None
    intents: JSONObject
    context: JSONObject
    metadata: JSONObject
    message_count: int
    created_at: datetime
    last_message_at: datetime | None
    closed_at: datetime | None
    held: bool


class PersonalData(Struct, kw_only=True):
    """Where the content has personal data: offsets in code points, end exclusive; `part` if it has parts."""

    type: Literal["email", "phone", "card", "iban", "nric", "cn_id", "ip", "secret"]
    start: int
    end: int
    part: int | None = None


class Processing(Struct):
    mirrored: bool
    embedded: bool


class MessageOut(Struct, kw_only=True):
    id: UUID
    object: Literal["message"]
    session_id: UUID
    customer_id: str | None
    position: int
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart]
    name: str | None
    external_id: str | None
    intent: str | None
    intent_confidence: float | None
    language: str | None
    turn_id: str | None
    model: str | None
    usage: JSONObject | None
    agent_responses: JSONObject | None
    attachments: list[Attachment] | None
    metadata: JSONObject
    occurred_at: datetime | None
    created_at: datetime
    pii: list[PersonalData]
    processing: Processing


class WindowOut(Struct, kw_only=True):
    object: Literal["window"]
    data: list[MessageOut]
    source: Literal["redis", "postgresql"]
    degraded: list[str]


class Deferral(Struct, kw_only=True):
    kind: Literal["hold", "legal_minimum"]
    hold_id: UUID | None = None
    matter: str | None = None
    basis: str | None = None
    until: datetime | None = None
    records: int


class ErasureCase(Struct, kw_only=True):
    id: UUID
    object: Literal["erasure_case"]
    state: Literal["executing", "deferred", "mirrors_pending", "verified"]
    scope: Literal["customer", "session", "messages", "tenant"]
    subject: str
    basis: str
    deferrals: list[Deferral]
    keys_destroyed: int
    created_at: datetime
    due_at: datetime
    verified_at: datetime | None


class MemoryOut(Struct, kw_only=True):
    id: UUID
    object: Literal["memory"]
    kind: Literal["fact", "note", "material", "runbook"]
    content: str
    customer_id: str | None
    external_id: str | None
    metadata: JSONObject
    source_message_ids: list[UUID]
    profile: str | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


class CustomerOut(Struct, kw_only=True):
    id: UUID
    object: Literal["customer"]
    customer_id: str
    language: str | None
    metadata: JSONObject
    created_at: datetime
    updated_at: datetime
    last_interaction_at: datetime | None
