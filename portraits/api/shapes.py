"""Response types for the schema."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from conversations.api.shapes import JSONObject


class TraitOut(Struct, kw_only=True):
    name: str
    value: Any
    confidence: float
    kind: Literal["asserted", "inferred", "imported"]
    source_message_ids: list[UUID]
    valid_from: datetime
    valid_to: datetime | None


class PortraitOut(Struct, kw_only=True):
    id: UUID | None
    object: Literal["portrait"]
    customer_id: str
    version: int
    preferences: JSONObject
    purchase_history: JSONObject
    traits: list[TraitOut]
    sentiment_score: float | None
    sentiment_trend: str | float | None
    summary: str | None
    created_at: datetime | None
    updated_at: datetime | None


class PreferencesOut(Struct, kw_only=True):
    object: Literal["preferences"]
    customer_id: str
    preferences: JSONObject
    created_at: datetime | None
    updated_at: datetime | None


class PreferenceOut(Struct, kw_only=True):
    object: Literal["preference"]
    key: str
    value: Any
    created_at: datetime
    updated_at: datetime


class InteractionSummaryOut(Struct, kw_only=True):
    id: UUID
    object: Literal["summary"]
    customer_id: str
    session_count: int
    message_count: int
    intents: dict[str, int]
    languages: dict[str, int]
    channels: dict[str, int]
    outlets: dict[str, int]
    first_interaction_at: datetime | None
    last_interaction_at: datetime | None
    created_at: datetime
