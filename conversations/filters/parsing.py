"""Parses decoded JSON into a checked tree; all mistakes are reported together, each with its path."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from conversations.exceptions import FieldError, Invalid
from conversations.filters.fields import FIELDS, FieldType, Kind, allowed_fields
from conversations.filters.syntax import (
    And,
    Comparison,
    FieldPath,
    Filter,
    Membership,
    Not,
    Operator,
    Or,
    Presence,
    Scalar,
)
from conversations.inputs import MESSAGE_TYPES

MAX_DEPTH = 8
MAX_VALUES = 1_000
# Enough for real filters, too few to make planning one an attack.
MAX_CONDITIONS = 1_000
MAX_SEGMENTS = 16
MAX_SEGMENT_LENGTH = 128
# Enough to correct a filter by; a hostile one gets no longer answer.
MAX_ERRORS = 20

_UNSTORABLE = re.compile("[\\0\ud800-\udfff]")
_ZonedTime = Annotated[datetime, msgspec.Meta(tz=True)]

_LOGICAL: Mapping[str, type[And] | type[Or]] = {"$and": And, "$or": Or}
_FIELD_OPERATORS = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists and $not"


def parse_filter(raw: Any, kind: Kind) -> Filter:
    """The tree of a filter as JSON gave it; raises Invalid with every error, each placed below `filter`."""
    parser = _Parser(kind)
    tree = parser.filter(raw, "filter", depth=1)
    if parser.errors:
        raise Invalid(tuple(parser.errors))
    return tree


class _Refused(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass
class _Parser:
    kind: Kind
    errors: list[FieldError] = field(default_factory=list)
    conditions: int = 0

    def filter(self, raw: Any, at: str, depth: int) -> Filter:
        """The conjunction of an object's members."""
        parts: list[Filter] = []
        with self._noting(at):
            _check_depth(depth)
            self._count_condition()
            if not isinstance(raw, dict):
                raise _Refused("wrong_type", "must be an object")
            for name, value in raw.items():
                with self._noting(place := f"{at}.{_shown(name)}"):
                    if name in _LOGICAL:
                        parts.append(self._logical(name, value, place, depth))
                    else:
                        parts.append(self._conditions(self._path(name), value, place, depth))
        return _conjunction(parts)

    def _logical(self, name: str, raw: Any, at: str, depth: int) -> Filter:
        if not isinstance(raw, list) or not raw:
            raise _Refused("wrong_type", "must be a list of at least one filter")
        return _LOGICAL[name](
            tuple(self.filter(part, f"{at}[{index}]", depth + 1) for index, part in enumerate(raw))
        )

    def _conditions(self, path: FieldPath, raw: Any, at: str, depth: int) -> Filter:
        """What a field's value says: a value means `$eq`, an object holds operators."""
        if not isinstance(raw, dict):
            return self._operator(path, "$eq", raw, at, depth)
        if not raw:
            raise _Refused("empty", f"must hold at least one of {_FIELD_OPERATORS}")
        parts: list[Filter] = []
        for name, value in raw.items():
            with self._noting(place := f"{at}.{_shown(name)}"):
                parts.append(self._operator(path, name, value, place, depth))
        return _conjunction(parts)

    def _operator(self, path: FieldPath, name: str, raw: Any, at: str, depth: int) -> Filter:
        self._count_condition()
        match name:
            case "$eq" | "$ne":
                equal = Comparison(path, Operator.EQ, _value(path.type, raw))
                return equal if name == "$eq" else Not(equal)
            case "$gt" | "$gte" | "$lt" | "$lte":
                return Comparison(path, Operator(name), _ordered_value(path.type, raw))
            case "$in" | "$nin":
                member = Membership(path, _values(path.type, raw))
                return member if name == "$in" else Not(member)
            case "$exists":
                if not isinstance(raw, bool):
                    raise _Refused("wrong_type", "must be true or false")
                return Presence(path) if raw else Not(Presence(path))
            case "$not":
                if not isinstance(raw, dict):
                    raise _Refused("wrong_type", 'must be an object of operators, such as {"$gt": 1}')
                _check_depth(depth + 1)
                return Not(self._conditions(path, raw, at, depth + 1))
        raise _Refused("unknown_operator", f"is not an operator here; allowed are {_FIELD_OPERATORS}")

    def _path(self, name: str) -> FieldPath:
        if name.startswith("$"):
            raise _Refused("unknown_operator", "is not an operator here; allowed are $and, $or and fields")
        column, *segments = name.split(".")
        known = FIELDS[self.kind].get(column)
        if known is None or bool(segments) is not (known.type is FieldType.JSON):
            raise _Refused(
                "unknown_field",
                f"is not a field to filter {self.kind} by; allowed are {allowed_fields(self.kind)}",
            )
        if len(segments) > MAX_SEGMENTS or not all(map(_is_segment, segments)):
            limits = (
                f"at most {MAX_SEGMENTS} names between dots, each of 1 to {MAX_SEGMENT_LENGTH} characters"
            )
            raise _Refused("invalid_path", f"must have {limits}")
        return FieldPath(known.name, known.type, tuple(segments))

    def _count_condition(self) -> None:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise _Refused("too_many", f"is one condition more than the {MAX_CONDITIONS} of a filter")

    @contextmanager
    def _noting(self, at: str) -> Iterator[None]:
        """Keep what was refused inside, and go on with the next part."""
        try:
            yield
        except _Refused as refused:
            self.errors.append(FieldError(at, refused.code, f"{at} {refused.detail}"))
            if len(self.errors) == MAX_ERRORS:
                raise Invalid(tuple(self.errors)) from None


def _conjunction(parts: Sequence[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _shown(name: str) -> str:
    """A name as an error may repeat it: of bounded length, and certain to be encodable."""
    return name[:MAX_SEGMENT_LENGTH].encode(errors="replace").decode()


def _is_segment(name: str) -> bool:
    return 0 < len(name) <= MAX_SEGMENT_LENGTH and _is_storable(name)


def _is_storable(text: str) -> bool:
    """PostgreSQL holds neither NUL nor lone surrogates."""
    return _UNSTORABLE.search(text) is None


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _Refused("too_deep", f"is deeper than the {MAX_DEPTH} levels of a filter")


def _value(type_: FieldType, raw: Any) -> Scalar:
    """The value as the field compares it; null is a value of every field."""
    if raw is None:
        return None
    if isinstance(raw, list):
        raise _Refused("wrong_type", f"must be {type_.value}; a list of values goes into $in")
    try:
        return _READERS[type_](raw)
    except (TypeError, ValueError, OverflowError):
        raise _Refused("wrong_type", f"must be {type_.value}") from None


def _ordered_value(type_: FieldType, raw: Any) -> Scalar:
    if raw is None or isinstance(raw, bool):
        wanted = "text or a number" if type_ is FieldType.JSON else type_.value
        raise _Refused("wrong_type", f"must be {wanted} to compare by order")
    return _value(type_, raw)


def _values(type_: FieldType, raw: Any) -> tuple[Scalar, ...]:
    if not isinstance(raw, list):
        raise _Refused("wrong_type", "must be a list of values")
    if len(raw) > MAX_VALUES:
        raise _Refused("too_many", f"takes at most {MAX_VALUES} values")
    return tuple(_value(type_, item) for item in raw)


def _uuid(raw: Any) -> UUID:
    return msgspec.convert(raw, UUID)


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not _is_storable(raw):
        raise TypeError
    return raw


def _role(raw: Any) -> str:
    text = _text(raw)
    return MESSAGE_TYPES.get(text, text)


def _integer(raw: Any) -> int:
    if type(raw) is not int or not -(2**63) <= raw < 2**63:
        raise TypeError
    return raw


def _number(raw: Any) -> int | float:
    if type(raw) is int:
        return _integer(raw)
    if type(raw) is not float or not math.isfinite(raw):
        raise TypeError
    return raw


def _time(raw: Any) -> datetime:
    return msgspec.convert(raw, _ZonedTime).astimezone(UTC)


def _json(raw: Any) -> Scalar:
    if isinstance(raw, bool):
        return raw
    return _text(raw) if isinstance(raw, str) else _number(raw)


_READERS: Mapping[FieldType, Callable[[Any], Scalar]] = {
    FieldType.UUID: _uuid,
    FieldType.TEXT: _text,
    FieldType.ROLE: _role,
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _number,
    FieldType.TIME: _time,
    FieldType.JSON: _json,
}
