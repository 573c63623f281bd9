"""Timestamps in request bodies: converted to UTC on arrival, refused when UTC cannot express them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from msgspec import Struct, inspect
from msgspec.structs import force_setattr

from conversations.exceptions import FieldError


def normalise_to_utc(decoded: Any, path: str = "") -> Iterator[FieldError]:
    """Convert every timestamp in a decoded struct to UTC, in place; yields an error for each that is out of range.

    `0001-01-01T00:00:00+14:00` is one: PostgreSQL stores it as a year before the first, and Python never reads it.
    """
    if isinstance(decoded, Struct):
        for name in _timed(type(decoded)):
            value, field = getattr(decoded, name), f"{path}.{name}" if path else name
            if not isinstance(value, datetime):
                yield from normalise_to_utc(value, field)
                continue
            try:
                force_setattr(decoded, name, value.astimezone(UTC))
            except OverflowError:
                yield FieldError(field, "out_of_range", "Not between the years 1 and 9999 in UTC.")
    elif isinstance(decoded, list | tuple):
        for number, item in enumerate(decoded):
            yield from normalise_to_utc(item, f"{path}[{number}]")


@cache
def _timed(kind: type[Struct]) -> tuple[str, ...]:
    """The fields that hold timestamps, or structs that do."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return tuple(field.name for field in described.fields if _holds_timestamps(field.type))


def _holds_timestamps(described: inspect.Type) -> bool:
    match described:
        case inspect.DateTimeType():
            return True
        case inspect.StructType():
            return bool(_timed(described.cls))
        case inspect.UnionType():
            return any(map(_holds_timestamps, described.types))
        case inspect.CollectionType():
            return _holds_timestamps(described.item_type)
        case inspect.Metadata():
            return _holds_timestamps(described.type)
        case _:
            return False
