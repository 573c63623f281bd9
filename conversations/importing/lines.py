"""The line types of our own format: the API's input plus the fields that only an export has.

Fields that an import computes anew (positions, counts, PII spans) are accepted and ignored.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from msgspec import Meta, Struct

from conversations.exceptions import FieldError, Invalid
from conversations.inputs import (
    EPOCH_START,
    Count,
    Fraction,
    JSONObject,
    LanguageTag,
    MessageIn,
    Moment,
    Name,
    SessionIn,
    ShortText,
)


class MessageLine(MessageIn, forbid_unknown_fields=True, kw_only=True):
    object: Literal["message"] = "message"
    id: ShortText | None = None
    session_id: ShortText | None = None
    thread_id: ShortText | None = None
    conversation_id: ShortText | None = None
    customer_id: ShortText | None = None
    user_id: ShortText | None = None
    position: Any = None
    pii: Any = None
    processing: Any = None


class SessionLine(SessionIn, forbid_unknown_fields=True, kw_only=True):
    object: Literal["session"]
    id: ShortText | None = None
    status: Literal["open", "closed"] = "open"
    outcome: JSONObject | None = None
    closed_at: Moment | None = None
    message_count: Any = None
    last_message_at: Any = None
    held: Any = None


class MemoryLine(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    object: Literal["memory"]
    content: str
    id: ShortText | None = None
    kind: Literal["fact", "note", "material", "runbook"] = "fact"
    customer_id: ShortText | None = None
    external_id: ShortText | None = None
    metadata: JSONObject | None = None
    source_message_ids: list[ShortText] = []
    embedding: list[float] | None = None
    profile: Name | None = None
    expires_at: Moment | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None


class CustomerLine(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    object: Literal["customer"]
    customer_id: ShortText
    id: ShortText | None = None
    language: LanguageTag | None = None
    metadata: JSONObject | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    last_interaction_at: Any = None


class TraitLine(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    name: Name
    value: Any
    confidence: Fraction | None = None
    kind: Literal["asserted", "inferred", "imported"] = "imported"
    source_message_ids: list[ShortText] = []
    valid_from: Moment | None = None
    valid_to: Moment | None = None


class PortraitLine(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    object: Literal["portrait"]
    customer_id: ShortText
    id: ShortText | None = None
    version: Any = None
    preferences: JSONObject = {}
    purchase_history: JSONObject | list[Any] = {}
    traits: list[TraitLine] = []
    sentiment_score: Annotated[float, Meta(ge=-1, le=1)] | None = None
    sentiment_trend: Any = None
    summary: str | None = None
    state: JSONObject | None = None  # in exports only
    created_at: Moment | None = None
    updated_at: Moment | None = None


class PreferencesLine(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    object: Literal["preferences"]
    customer_id: ShortText
    preferences: JSONObject
    created_at: Moment | None = None
    updated_at: Moment | None = None


class SummaryLine(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Counts beyond those of the imported messages; `id` is the customer's in the source."""

    object: Literal["summary"]
    customer_id: ShortText
    id: ShortText | None = None
    session_count: Count = 0
    message_count: Count = 0
    intents: dict[str, Count] = {}
    languages: dict[str, Count] = {}
    channels: dict[str, Count] = {}
    outlets: dict[str, Count] = {}
    first_interaction_at: Moment | None = None
    last_interaction_at: Moment | None = None
    created_at: Moment | None = None


def check_moments(now: datetime, **moments: datetime | None) -> None:
    """Raise Invalid, naming each time that is in the future or before 1970."""
    problems: list[FieldError] = []
    for field, at in moments.items():
        if at is not None and not EPOCH_START <= at <= now:
            problems.append(FieldError(field, "out_of_range", "Between 1970 and now."))
    if problems:
        raise Invalid(problems)


def check_sizes(line: MemoryLine | CustomerLine) -> None:
    """Raise Invalid, naming each field that is over its limit."""
    problems: list[FieldError] = []
    for field, limit in (("content", settings.MAX_CONTENT), ("metadata", settings.MAX_METADATA)):
        value = getattr(line, field, None)
        if value is not None and len(msgspec.json.encode(value)) > limit:
            problems.append(FieldError(field, "too_large", f"At most {limit} bytes."))
    if problems:
        raise Invalid(problems)
