"""DynamoDB exports: one `{"Item": {name: {type: value}}}` per line, in hash order, which is no useful order."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from conversations import strict_json
from conversations.exceptions import Invalid, MalformedJSON
from conversations.importing.files import RawLine
from conversations.importing.foreign import (
    a_list,
    a_name,
    a_name_or_none,
    an_object,
    message_of,
    nested_object,
)
from conversations.importing.identity import identity
from conversations.importing.lines import check_moments
from conversations.importing.moments import moment_of, role_of
from conversations.importing.records import ImportedMessage, ImportedPreferences, Record
from conversations.inputs import JSONObject


def records(tree: Any, line: RawLine, now: datetime) -> list[Record]:
    """The item's message, or its preferences."""
    item = plain_item(tree)
    if "preferences" in item and "session_id" not in item:
        return [_preferences(item, line, now)]
    session = a_name(item.get("session_id"), "session_id")
    customer = a_name_or_none(item.get("user_id"), "user_id")
    external_id = a_name_or_none(item.get("message_id"), "message_id")
    fields = {
        "external_id": external_id,
        "role": role_of(item.get("role"), "role"),
        "content": item.get("content", ""),
        "metadata": nested_object(item.get("metadata"), "metadata"),
        "created_at": moment_of(item.get("timestamp"), "timestamp"),
    }
    return [
        ImportedMessage(
            origin=line.origin,
            # The table's own primary key.
            key=identity("message", session, str(item["timestamp"])),
            source_id=external_id,
            session=session,
            customer=customer,
            given=message_of(fields, now),
        )
    ]


def plain_item(tree: Any) -> JSONObject:
    """The item without DynamoDB's type tags; Invalid when they are missing or unknown."""
    item = an_object(an_object(tree, "").get("Item"), "Item")
    return {name: _plain(value, f"Item.{name}") for name, value in item.items()}


def _preferences(item: JSONObject, line: RawLine, now: datetime) -> ImportedPreferences:
    customer = a_name(item.get("user_id"), "user_id")
    preferences = nested_object(item["preferences"], "preferences") or {}
    created_at, updated_at = (
        None if item.get(name) is None else moment_of(item[name], name)
        for name in ("created_at", "updated_at")
    )
    check_moments(now, created_at=created_at, updated_at=updated_at)
    return ImportedPreferences(
        origin=line.origin,
        key=identity("preferences", customer),
        customer=customer,
        preferences=preferences,
        created_at=created_at,
        updated_at=updated_at,
    )


def _plain(typed: Any, at: str) -> Any:
    pairs = list(an_object(typed, at).items())
    if len(pairs) != 1 or pairs[0][0] not in _TYPES:
        raise Invalid.field(at, f"Must be one value under its type: one of {', '.join(_TYPES)}.")
    ((type_, value),) = pairs
    return _TYPES[type_](value, at)


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise Invalid.field(at, "Must be text.", code="wrong_type")
    return value


def _number(value: Any, at: str) -> int | float:
    """DynamoDB writes numbers as text."""
    try:
        number = strict_json.parse(_text(value, at).encode())
    except MalformedJSON:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Invalid.field(at, "Must be a number.", code="wrong_type")
    return number


def _boolean(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise Invalid.field(at, "Must be true or false.", code="wrong_type")
    return value


_TYPES: Mapping[str, Callable[[Any, str], Any]] = {
    "S": _text,
    "N": _number,
    "BOOL": _boolean,
    "NULL": lambda value, at: None,
    "B": _text,
    "M": lambda value, at: {
        name: _plain(item, f"{at}.{name}") for name, item in an_object(value, at).items()
    },
    "L": lambda value, at: [_plain(item, f"{at}[{number}]") for number, item in enumerate(a_list(value, at))],
    "SS": lambda value, at: [_text(item, at) for item in a_list(value, at)],
    "NS": lambda value, at: [_number(item, at) for item in a_list(value, at)],
    "BS": lambda value, at: [_text(item, at) for item in a_list(value, at)],
}
