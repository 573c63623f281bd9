"""Request bodies as types: unknown fields are refused, and nothing is converted.

`API.md`'s aliases are folded by the `normal` methods, so that no service ever sees one.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from django.conf import settings
from msgspec import UNSET, Meta, Struct, UnsetType

from conversations.exceptions import FieldError, Invalid

RoleName = Literal["system", "developer", "user", "assistant", "tool"]
LONGEST_SHORT_TEXT = 255
ShortText = Annotated[str, Meta(min_length=1, max_length=LONGEST_SHORT_TEXT)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
LanguageTag = Annotated[str, Meta(min_length=1, max_length=35)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Moment = Annotated[datetime, Meta(tz=True)]
JSONObject = dict[str, Any]

EPOCH_START = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
CLOCK_TOLERANCE = timedelta(minutes=5)
MessageType = Literal["user_input", "llm_response"]
MESSAGE_TYPES: Mapping[str | None, RoleName] = {"user_input": "user", "llm_response": "assistant"}

T = TypeVar("T")


class TextPart(Struct, forbid_unknown_fields=True, frozen=True):
    type: Literal["text"]
    text: str


class Attachment(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    kind: Literal["transcription", "image_analysis", "voice_pattern", "file"]
    text: str | None = None
    data: Any = None
    uri: Annotated[str, Meta(max_length=2048)] | None = None


class MessageIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """One message as a client sends it."""

    content: str | list[TextPart]
    role: RoleName | None = None
    name: Name | None = None
    external_id: ShortText | None = None
    intent: Name | None = None
    intent_confidence: Fraction | None = None
    language: LanguageTag | None = None
    turn_id: ShortText | None = None
    model: Name | None = None
    usage: JSONObject | None = None
    agent_responses: JSONObject | None = None
    attachments: Annotated[list[Attachment], Meta(max_length=100)] | None = None
    metadata: JSONObject | None = None
    occurred_at: Moment | None = None
    created_at: Moment | None = None
    message_type: MessageType | None = None
    message_id: ShortText | None = None
    timestamp: Moment | None = None

    def normal(self, *, may_import: bool, now: datetime, path: str = "") -> "MessageIn":
        """Without aliases, checked against the limits; Invalid names every broken field below `path`."""
        problems: list[FieldError] = []
        role = MESSAGE_TYPES.get(self.message_type)
        self.role = fold_alias(self.role, role, "role", "message_type", problems)
        self.external_id = fold_alias(
            self.external_id, self.message_id, "external_id", "message_id", problems
        )
        if may_import and self.created_at is None and self.timestamp is not None:
            self.created_at = self.timestamp
        elif not (may_import and self.created_at == self.timestamp):
            self.occurred_at = fold_alias(
                self.occurred_at, self.timestamp, "occurred_at", "timestamp", problems
            )
        self.message_type = self.message_id = self.timestamp = None
        if self.role is None:
            problems.append(FieldError("role", "required", "A message needs a role."))
        check_size(problems, "content", self.content, settings.MAX_CONTENT)
        check_size(problems, "metadata", self.metadata, settings.MAX_METADATA)
        check_size(problems, "agent_responses", self.agent_responses, settings.MAX_CONTENT)
        check_size(problems, "attachments", self.attachments, settings.MAX_CONTENT)
        check_size(problems, "usage", self.usage, settings.MAX_METADATA)
        check_occurred(problems, self.occurred_at, now)
        if self.created_at is not None:
            check_created(problems, self.created_at, now)
        if problems:
            raise Invalid([FieldError(f"{path}{p.field}", p.code, p.detail) for p in problems])
        return self


class AppendIn(MessageIn, kw_only=True, forbid_unknown_fields=True):
    """One message, or `messages`: all or nothing, order kept."""

    content: str | list[TextPart] | UnsetType = UNSET  # type: ignore[assignment]
    messages: list[MessageIn] | UnsetType = UNSET

    def all_normal(self, *, may_import: bool, now: datetime) -> list[MessageIn]:
        """What is to be appended, checked; Invalid names the fields, of each message of a batch."""
        if self.messages is UNSET:
            if self.content is UNSET:
                raise Invalid.field("content", "A message needs content.", code="required")
            return [self.normal(may_import=may_import, now=now)]
        if any(
            getattr(self, name) not in (None, UNSET) for name in self.__struct_fields__ if name != "messages"
        ):
            raise Invalid.field("messages", "Send one message or `messages`, not both.", code="conflict")
        if not 0 < len(self.messages) <= settings.MAX_BATCH:
            raise Invalid.field(
                "messages", f"Between 1 and {settings.MAX_BATCH} messages.", code="out_of_range"
            )
        problems: list[FieldError] = []
        for number, message in enumerate(self.messages):
            try:
                message.normal(may_import=may_import, now=now, path=f"messages[{number}].")
            except Invalid as error:
                problems.extend(error.errors)
        if problems:
            raise Invalid(problems)
        return self.messages


class MessagePatch(Struct, forbid_unknown_fields=True, kw_only=True):
    intent: Name | UnsetType | None = UNSET
    intent_confidence: Fraction | UnsetType | None = UNSET
    metadata: JSONObject | UnsetType | None = UNSET
    agent_responses: JSONObject | UnsetType | None = UNSET


class SessionIn(Struct, forbid_unknown_fields=True, kw_only=True):
    external_id: ShortText | None = None
    customer_id: ShortText | None = None
    channel: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    language: LanguageTag | None = None
    outlet_id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    title: Annotated[str, Meta(max_length=1000)] | None = None
    intents: JSONObject | None = None
    context: JSONObject | None = None
    metadata: JSONObject | None = None
    created_at: Moment | None = None
    user_id: ShortText | None = None
    thread_id: ShortText | None = None
    conversation_id: ShortText | None = None

    def normal(self, *, now: datetime, path: str = "") -> "SessionIn":
        problems: list[FieldError] = []
        self.customer_id = fold_alias(self.customer_id, self.user_id, "customer_id", "user_id", problems)
        self.external_id = fold_alias(self.external_id, self.thread_id, "external_id", "thread_id", problems)
        self.external_id = fold_alias(
            self.external_id, self.conversation_id, "external_id", "conversation_id", problems
        )
        self.user_id = self.thread_id = self.conversation_id = None
        for field in ("intents", "context", "metadata"):
            check_size(problems, field, getattr(self, field), settings.MAX_METADATA)
        if self.created_at is not None:
            check_created(problems, self.created_at, now)
        if problems:
            raise Invalid([FieldError(f"{path}{p.field}", p.code, p.detail) for p in problems])
        return self


class SessionPatch(Struct, forbid_unknown_fields=True, kw_only=True):
    title: Annotated[str, Meta(max_length=1000)] | UnsetType | None = UNSET
    channel: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType | None = UNSET
    language: LanguageTag | UnsetType | None = UNSET
    outlet_id: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType | None = UNSET
    intents: JSONObject | UnsetType | None = UNSET
    context: JSONObject | UnsetType | None = UNSET
    metadata: JSONObject | UnsetType | None = UNSET
    customer_id: ShortText | UnsetType = UNSET
    user_id: ShortText | UnsetType = UNSET


class Outcome(Struct, forbid_unknown_fields=True, kw_only=True):
    success: bool | UnsetType | None = UNSET
    issue_type: Name | UnsetType | None = UNSET
    entities: Annotated[list[Name], Meta(max_length=200)] | UnsetType | None = UNSET
    tools_used: Annotated[list[Name], Meta(max_length=200)] | UnsetType | None = UNSET
    resolution_seconds: Annotated[float, Meta(ge=0)] | UnsetType | None = UNSET
    knowledge: Annotated[str, Meta(max_length=65_536)] | UnsetType | None = UNSET


class CloseBody(Struct, forbid_unknown_fields=True):
    outcome: Outcome | None = None


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: objects merge deeply, `null` removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def given(patch: Struct) -> dict[str, Any]:
    """The fields a patch names."""
    return {name: value for name in patch.__struct_fields__ if (value := getattr(patch, name)) is not UNSET}


def refuse_large(merged: Mapping[str, Any]) -> None:
    """Invalid when an object has grown over its limit by what was merged into it."""
    problems: list[FieldError] = []
    for field, value in merged.items():
        limit = settings.MAX_CONTENT if field == "agent_responses" else settings.MAX_METADATA
        check_size(problems, field, value, limit)
    if problems:
        raise Invalid(problems)


def check_occurred(problems: list[FieldError], at: datetime | None, now: datetime) -> None:
    """A client's own clock: 1970 to five minutes ahead."""
    if at is not None and not EPOCH_START <= at <= now + CLOCK_TOLERANCE:
        problems.append(FieldError("occurred_at", "out_of_range", "Between 1970 and five minutes ahead."))


def check_created(problems: list[FieldError], at: datetime, now: datetime) -> None:
    """An imported row's time: never in the future, because retention counts from it."""
    if not EPOCH_START <= at <= now:
        problems.append(FieldError("created_at", "out_of_range", "Between 1970 and now."))


def check_metadata(metadata: Any) -> None:
    """Invalid when it is larger than metadata may be."""
    problems: list[FieldError] = []
    check_size(problems, "metadata", metadata, settings.MAX_METADATA)
    if problems:
        raise Invalid(problems)


def require_text(**texts: str) -> None:
    """Invalid when one of the texts is blank."""
    for name, text in texts.items():
        if not text.strip():
            raise Invalid.field(name, f"A {name} is needed.", code="required")


def fold_customer(customer_id: str | None, user_id: str | None) -> str | None:
    """The customer under either of the two names; Invalid when they differ."""
    problems: list[FieldError] = []
    customer = fold_alias(customer_id, user_id, "customer_id", "user_id", problems)
    if problems:
        raise Invalid(problems)
    return customer


def fold_role(role: str | None, message_type: MessageType | None) -> str | None:
    """The role under either of the two names; Invalid when they differ."""
    problems: list[FieldError] = []
    folded = fold_alias(role, MESSAGE_TYPES.get(message_type), "role", "message_type", problems)
    if problems:
        raise Invalid(problems)
    return folded


def fold_alias(
    value: T | None, alias: T | None, field: str, name: str, problems: list[FieldError]
) -> T | None:
    """The value under either of its names; adds a problem when they differ."""
    if value is not None and alias is not None and value != alias:
        problems.append(
            FieldError(name, "conflict", f"`{name}` is another name of `{field}`, and they differ.")
        )
    return value if value is not None else alias


def check_size(problems: list[FieldError], field: str, value: Any, limit: int) -> None:
    """Add a problem when the value takes more bytes as JSON, or the text as UTF-8."""
    if value is None:
        return
    size = len(value.encode()) if isinstance(value, str) else len(msgspec.json.encode(value))
    if size > limit:
        problems.append(FieldError(field, "too_large", f"At most {limit} bytes; this is {size}."))
