"""Times and roles as other systems write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from conversations.exceptions import Invalid
from conversations.inputs import RoleName

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Later than the year 5000 in seconds: it can only be milliseconds.
_MILLISECONDS_FROM = 100_000_000_000
_UNIX_TIME = re.compile(r"[0-9]{9,13}(\.[0-9]+)?")  # eight digits are a day

ROLES: dict[str, RoleName] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "human": "user",
    "user_input": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "llm_response": "assistant",
    "tool": "tool",
    "function": "tool",
}


def role_of(raw: Any, field: str) -> RoleName:
    """Our role for another system's; Invalid when it is unknown."""
    role = ROLES.get(raw.lower()) if isinstance(raw, str) else None
    if role is None:
        raise Invalid.field(field, f"Must be one of {', '.join(ROLES)}.")
    return role


def moment_of(raw: Any, field: str) -> datetime:
    """A time in UTC, from ISO 8601 (UTC if it has no offset) or a Unix time in seconds or milliseconds.

    Columns and attributes of texts hold Unix times as digits.
    """
    try:
        if isinstance(raw, str) and _UNIX_TIME.fullmatch(raw.strip()):
            raw = float(raw)
        if isinstance(raw, str):
            at = datetime.fromisoformat(raw.strip())
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            seconds = raw / 1000 if abs(raw) >= _MILLISECONDS_FROM else raw
            return _EPOCH + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        pass
    raise Invalid.field(field, "Must be an ISO 8601 time or a Unix time.")
