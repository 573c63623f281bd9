"""Canonical JSON (RFC 8785): equal values have equal bytes, which signatures and hashes need."""

import json
from datetime import UTC, datetime
from typing import Any

import rfc8785


class NotCanonical(ValueError):
    """The value cannot be written in canonical JSON, or the bytes are not the ones it would be written as."""


def canonical(value: Any) -> bytes:
    """The bytes of a JSON value; integers beyond 2**53, NaN and lone surrogates are refused."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise NotCanonical(f"Not a value of canonical JSON: {error}.") from error


def parse_canonical(data: bytes) -> Any:
    """The value of canonical bytes. Any other way of writing the same value is refused, trailing bytes too."""
    try:
        value = json.loads(data, parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise NotCanonical("Not valid JSON.") from error
    if canonical(value) != data:
        raise NotCanonical("Valid JSON, but not in canonical form (RFC 8785).")
    return value


def _number(digits: str) -> int | float:
    # 2.0**53 is written without a point, and is no integer that canonical JSON would take.
    number = float(digits)
    return int(digits) if abs(number) < 2**53 else number


def instant(at: datetime) -> str:
    """A moment as RFC 3339 in UTC, always with microseconds, so that equal moments are equal bytes."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
