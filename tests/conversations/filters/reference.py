"""What a filter means, said a second time, as plainly as possible: over a dictionary, from the raw JSON."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

_MISSING = object()


def matches(raw: dict[str, Any], record: dict[str, Any]) -> bool:
    return all(_member(name, value, record) for name, value in raw.items())


def _member(name: str, value: Any, record: dict[str, Any]) -> bool:
    if name == "$and":
        return all(matches(part, record) for part in value)
    if name == "$or":
        return any(matches(part, record) for part in value)
    return _holds(value if isinstance(value, dict) else {"$eq": value}, _found(name, record))


def _found(name: str, record: dict[str, Any]) -> list[Any]:
    """What the path leads to: several values where it crosses lists; _MISSING only when nothing is there."""
    column, *segments = name.split(".")
    places = [record[column]]
    for segment in segments:
        places = [
            item[segment]
            for place in places
            for item in (place if isinstance(place, list) else [place])
            if isinstance(item, dict) and segment in item
        ]
    if not places or (not segments and places == [None]):
        return [_MISSING]
    return places + [item for place in places if isinstance(place, list) for item in place]


def _holds(operators: dict[str, Any], found: list[Any]) -> bool:
    return all(_one(operator, wanted, found) for operator, wanted in operators.items())


def _one(operator: str, wanted: Any, found: list[Any]) -> bool:
    match operator:
        case "$not":
            return not _holds(wanted, found)
        case "$exists":
            return (found != [_MISSING]) is wanted
        case "$ne":
            return not _one("$eq", wanted, found)
        case "$nin":
            return not _one("$in", wanted, found)
        case "$in":
            return any(_one("$eq", value, found) for value in wanted)
        case "$eq" if wanted is None:
            return any(value is _MISSING or value is None for value in found)
    return any(_compare(operator, value, wanted) for value in found)


def _compare(operator: str, value: Any, wanted: Any) -> bool:
    value, wanted = _comparable(value), _comparable(wanted, like=value)
    if value[0] != wanted[0] or value[0] == "other":
        return False
    held, given = value[1], wanted[1]
    return {
        "$eq": held == given,
        "$gt": held > given,
        "$gte": held >= given,
        "$lt": held < given,
        "$lte": held <= given,
    }[operator]


def _comparable(value: Any, like: Any = None) -> tuple[str, Any]:
    match value, like:
        case str(), datetime():
            return "time", datetime.fromisoformat(value)
        case str(), UUID():
            return "uuid", UUID(value)
        case datetime(), _:
            return "time", value
        case UUID(), _:
            return "uuid", value
        case str(), _:
            return "text", value
        case bool(), _:
            return "bool", value
        case ((int() | float()), _):
            return "number", Decimal(repr(value))
    return "other", None
