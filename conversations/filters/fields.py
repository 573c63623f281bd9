"""What may be filtered and ordered by: the allow-list of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    MESSAGES = "messages"
    SESSIONS = "sessions"
    SUMMARIES = "summaries"
    MEMORIES = "memories"


class FieldType(StrEnum):
    """How the values of a field are compared; each value reads as the end of "must be ..."."""

    UUID = "a UUID"
    TEXT = "text"
    ROLE = "the name of a role"
    INTEGER = "an integer of at most 64 bits"
    NUMBER = "a number"
    TIME = "an RFC 3339 time with a zone"
    JSON = "text, a number, true, false or null"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: FieldType


def _fields(**listed: str) -> list[Field]:
    return [
        Field(name, FieldType[type_.upper()]) for type_, names in listed.items() for name in names.split()
    ]


def _by_name(fields: list[Field], **aliases: str) -> Mapping[str, Field]:
    """The fields under their names and under the aliases that the API accepts on input."""
    named = {field.name: field for field in fields}
    return named | {alias: named[name] for alias, name in aliases.items()}


FIELDS: Mapping[Kind, Mapping[str, Field]] = {
    Kind.MESSAGES: _by_name(
        _fields(
            uuid="id session_id",
            text="customer_id name intent language external_id turn_id model",
            role="role",
            number="intent_confidence",
            integer="position",
            time="created_at occurred_at",
            json="metadata",
        ),
        user_id="customer_id",
        message_type="role",
        message_id="external_id",
        timestamp="occurred_at",
    ),
    Kind.SESSIONS: _by_name(
        _fields(
            uuid="id",
            text="external_id customer_id channel language outlet_id status",
            integer="message_count",
            time="created_at last_message_at closed_at",
            json="intents outcome metadata context",
        ),
        user_id="customer_id",
        thread_id="external_id",
        conversation_id="external_id",
    ),
    Kind.SUMMARIES: _by_name(
        _fields(
            text="customer_id",
            integer="session_count message_count",
            time="first_interaction_at last_interaction_at",
            json="intents",
        ),
        user_id="customer_id",
    ),
    Kind.MEMORIES: _by_name(
        _fields(
            uuid="id",
            text="kind customer_id external_id",
            time="expires_at created_at",
            json="metadata",
        ),
        user_id="customer_id",
    ),
}

ORDERS: Mapping[Kind, tuple[str, ...]] = {
    Kind.MESSAGES: ("id", "created_at", "position"),
    Kind.SESSIONS: ("id", "created_at", "last_message_at"),
    Kind.SUMMARIES: ("id", "created_at"),
    Kind.MEMORIES: ("id", "created_at"),
}
# A session that nobody has written to has no last message.
NULLABLE_ORDERS = frozenset({"last_message_at", "last_message_hour"})


def allowed_fields(kind: Kind) -> str:
    """The allow-list of a kind as a sentence part: "id, session_id, ... and metadata.*"."""
    names = dict.fromkeys(
        f"{field.name}.*" if field.type is FieldType.JSON else field.name for field in FIELDS[kind].values()
    )
    *most, last = names
    return f"{', '.join(most)} and {last}"
