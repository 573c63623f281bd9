"""Validates the loosely typed fields of other systems; errors name the field."""

from datetime import datetime
from typing import Any

import msgspec

from conversations import strict_json
from conversations.exceptions import Invalid, MalformedJSON
from conversations.inputs import JSONObject, MessageIn, SessionIn


def an_object(raw: Any, field: str) -> JSONObject:
    if not isinstance(raw, dict):
        raise Invalid.field(field, "Must be an object.", code="wrong_type")
    return raw


def a_list(raw: Any, field: str) -> list[Any]:
    if not isinstance(raw, list):
        raise Invalid.field(field, "Must be a list.", code="wrong_type")
    return raw


def a_name(raw: Any, field: str) -> str:
    """An id or a name; many systems use numbers as ids."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str) or not raw:
        raise Invalid.field(field, "Must be text that is not empty.", code="wrong_type")
    return raw


def a_name_or_none(raw: Any, field: str) -> str | None:
    return None if raw in (None, "") else a_name(raw, field)


def nested_json(raw: Any, field: str) -> Any:
    """The value itself; a string is decoded as JSON, under the rules for lines."""
    if not isinstance(raw, str):
        return raw
    try:
        return strict_json.parse(raw.encode())
    except (MalformedJSON, Invalid) as problem:
        raise Invalid.field(field, f"Not valid JSON: {problem.detail}") from None


def nested_object(raw: Any, field: str) -> JSONObject | None:
    """An object or its JSON text; None for null and empty text."""
    value = None if raw == "" else nested_json(raw, field)
    return None if value is None else an_object(value, field)


def message_of(fields: JSONObject, now: datetime, at: str = "") -> MessageIn:
    """The message, validated as the API does for a key of scope `import`."""
    given = strict_json.convert(_without_nulls(fields), MessageIn)
    return given.normal(may_import=True, now=now, path=at)


def session_of(fields: JSONObject, now: datetime) -> SessionIn:
    return strict_json.convert(_without_nulls(fields), SessionIn).normal(now=now)


def text_of(value: Any) -> str:
    """A tool's arguments or result as text: strings as they are, other values as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _without_nulls(fields: JSONObject) -> JSONObject:
    return {name: value for name, value in fields.items() if value is not None}
