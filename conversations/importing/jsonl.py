"""JSON Lines, our own format: one object per line, a message unless `object` says otherwise."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from conversations import strict_json
from conversations.exceptions import Invalid
from conversations.importing.files import RawLine
from conversations.importing.identity import identity, identity_of_line, is_uuid, message_identity
from conversations.importing.lines import (
    CustomerLine,
    MemoryLine,
    MessageLine,
    PortraitLine,
    PreferencesLine,
    SessionLine,
    SummaryLine,
    check_moments,
    check_sizes,
)
from conversations.importing.records import (
    ImportedCustomer,
    ImportedMemory,
    ImportedMessage,
    ImportedPortrait,
    ImportedPreferences,
    ImportedSession,
    ImportedSummary,
    Record,
    SessionEnd,
)

T = TypeVar("T")


def records(tree: Any, line: RawLine, now: datetime) -> list[Record]:
    """The one record of a line."""
    if not isinstance(tree, dict):
        raise Invalid.field("", "Must be an object.", code="wrong_type")
    kind = tree.get("object", "message")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise Invalid.field("object", f"Must be one of {', '.join(_READERS)}.")
    return [reader(tree, line, now)]


def _message(tree: Any, line: RawLine, now: datetime) -> ImportedMessage:
    given = strict_json.convert(tree, MessageLine)
    given.normal(may_import=True, now=now)
    session = _one_of(given.session_id, given.thread_id, given.conversation_id, field="session_id")
    if session is None:
        raise Invalid.field("session_id", "This field is required.", code="required")
    name = given.id or given.external_id
    return ImportedMessage(
        origin=line.origin,
        key=_message_key(given.id, session, name) if name else identity_of_line("message", line),
        source_id=given.id,
        session=session,
        customer=_one_of(given.customer_id, given.user_id, field="customer_id"),
        given=given,
    )


def _message_key(source_id: str | None, session: str, name: str) -> bytes:
    """Without the session where the id is globally unique, because evidence names such messages by it alone."""
    return message_identity(source_id) if is_uuid(source_id) else identity("message", session, name)


def _session(tree: Any, line: RawLine, now: datetime) -> ImportedSession:
    given = strict_json.convert(tree, SessionLine)
    given.normal(now=now)
    check_moments(now, closed_at=given.closed_at)
    name = given.id or given.external_id
    return ImportedSession(
        origin=line.origin,
        key=identity("session", name) if name else identity_of_line("session", line),
        source_id=given.id,
        given=given,
        end=SessionEnd(given.status, given.outcome, given.closed_at),
    )


def _memory(tree: Any, line: RawLine, now: datetime) -> ImportedMemory:
    given = strict_json.convert(tree, MemoryLine)
    check_sizes(given)
    check_moments(now, created_at=given.created_at, updated_at=given.updated_at)
    name = given.id or given.external_id
    key = identity("memory", name) if name else identity_of_line("memory", line)
    return ImportedMemory(line.origin, key, given.id, given)


def _customer(tree: Any, line: RawLine, now: datetime) -> ImportedCustomer:
    given = strict_json.convert(tree, CustomerLine)
    check_sizes(given)
    check_moments(now, created_at=given.created_at, updated_at=given.updated_at)
    return ImportedCustomer(line.origin, identity("customer", given.customer_id), given)


def _portrait(tree: Any, line: RawLine, now: datetime) -> ImportedPortrait:
    given = strict_json.convert(tree, PortraitLine)
    check_moments(now, created_at=given.created_at, updated_at=given.updated_at)
    return ImportedPortrait(line.origin, identity("portrait", given.customer_id), given)


def _preferences(tree: Any, line: RawLine, now: datetime) -> ImportedPreferences:
    given = strict_json.convert(tree, PreferencesLine)
    check_moments(now, created_at=given.created_at, updated_at=given.updated_at)
    return ImportedPreferences(
        origin=line.origin,
        key=identity("preferences", given.customer_id),
        customer=given.customer_id,
        preferences=given.preferences,
        created_at=given.created_at,
        updated_at=given.updated_at,
    )


def _summary(tree: Any, line: RawLine, now: datetime) -> ImportedSummary:
    given = strict_json.convert(tree, SummaryLine)
    check_moments(
        now,
        created_at=given.created_at,
        first_interaction_at=given.first_interaction_at,
        last_interaction_at=given.last_interaction_at,
    )
    return ImportedSummary(line.origin, identity("summary", given.customer_id), given)


def _one_of(*names: str | None, field: str) -> str | None:
    """The value under whichever of its aliases was used; Invalid if they disagree."""
    values = {name for name in names if name is not None}
    if len(values) > 1:
        raise Invalid.field(field, "Given under two names with different values.", code="conflict")
    return values.pop() if values else None


_READERS: Mapping[str, Callable[[Any, RawLine, datetime], Record]] = {
    "message": _message,
    "session": _session,
    "memory": _memory,
    "customer": _customer,
    "portrait": _portrait,
    "preferences": _preferences,
    "summary": _summary,
}
