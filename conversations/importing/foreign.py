"""Reading the lines of other systems: optional, loosely typed fields, and names for what is wrong with them."""

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
    """An id or a name; numbers are ids too in many systems."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str) or not raw:
        raise Invalid.field(field, "Must be text that is not empty.", code="wrong_type")
    return raw


def a_name_or_none(raw: Any, field: str) -> str | None:
    return None if raw in (None, "") else a_name(raw, field)


def nested_json(raw: Any, field: str) -> Any:
    """The value of JSON inside JSON: a string is decoded under the same rules as a line."""
    if not isinstance(raw, str):
        return raw
    try:
        return strict_json.parse(raw.encode())
    except (MalformedJSON, Invalid) as problem:
        raise Invalid.field(field, f"Not valid JSON: {problem.detail}") from None


def nested_object(raw: Any, field: str) -> JSONObject | None:
    """An object or its JSON text; null and empty text are none."""
    value = None if raw == "" else nested_json(raw, field)
    return None if value is None else an_object(value, field)


def message_of(fields: JSONObject, now: datetime, at: str = "") -> MessageIn:
    """The message that the API would accept with these fields under scope `import`."""
    given = strict_json.convert(_without_nothing(fields), MessageIn)
    return given.normal(may_import=True, now=now, path=at)


def session_of(fields: JSONObject, now: datetime) -> SessionIn:
    return strict_json.convert(_without_nothing(fields), SessionIn).normal(now=now)


def text_of(value: Any) -> str:
    """A tool's arguments or result as text: what is no string already is shown as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _without_nothing(fields: JSONObject) -> JSONObject:
    return {name: value for name, value in fields.items() if value is not None}
