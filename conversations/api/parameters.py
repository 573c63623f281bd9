"""Query strings decoded into typed structs: unknown parameters are refused, only numbers and booleans are converted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import msgspec
from django.http import HttpRequest
from msgspec import inspect

from conversations.exceptions import FieldError, Invalid
from conversations.strict_json import field_error
from conversations.timestamps import normalise_to_utc

T = TypeVar("T", bound=msgspec.Struct)

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class NoParameters(msgspec.Struct, frozen=True):
    """A call that takes no query parameters."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a query struct, as it is read from the query string."""

    name: str
    field: str
    type: Any
    kinds: frozenset[type]
    repeatable: bool
    required: bool


def decode_query(request: HttpRequest, kind: type[T]) -> T:
    """The query string as `kind`; Invalid names every parameter that is unknown, repeated, missing or wrong.

    A struct may give other names for its fields: `aliases: ClassVar = {"start_time": "started_after"}`.
    """
    given = request.GET
    known = parameters_of(kind)
    aliases: Mapping[str, str] = getattr(kind, "aliases", {})
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name in given:
        parameter = known.get(aliases.get(name, name))
        if parameter is None:
            errors.append(FieldError(name, "unknown_parameter", "There is no such parameter."))
        elif parameter.field in values or (len(given.getlist(name)) > 1 and not parameter.repeatable):
            errors.append(FieldError(name, "repeated", "This parameter may be given once."))
        else:
            try:
                values[parameter.field] = _read(parameter, given.getlist(name))
            except msgspec.ValidationError as error:
                errors.append(FieldError(name, "invalid", field_error(str(error)).detail))
    named = {aliases.get(name, name) for name in given}
    missing = [p for p in known.values() if p.required and p.name not in named]
    errors += [FieldError(p.name, "required", "This parameter is required.") for p in missing]
    if errors:
        raise Invalid(errors)
    try:
        query = kind(**values)
    except ValueError as error:  # a rule between fields, from __post_init__
        raise Invalid(detail=str(error)) from error
    if errors := list(normalise_to_utc(query)):
        raise Invalid(errors)
    return query


@cache
def parameters_of(kind: type[msgspec.Struct]) -> Mapping[str, Parameter]:
    """The parameters of a query struct by their name on the wire."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    hints = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return {
        field.encode_name: Parameter(
            name=field.encode_name,
            field=field.name,
            type=hints[field.name],
            kinds=_kinds(field.type),
            repeatable=inspect.ListType in {type(t) for t in _members(field.type)},
            required=field.required,
        )
        for field in info.fields
    }


def _read(parameter: Parameter, given: list[str]) -> Any:
    if any("\x00" in text for text in given):
        raise msgspec.ValidationError("A text may not contain NUL")
    converted = [_convert(text, parameter.kinds) for text in given]
    return msgspec.convert(converted if parameter.repeatable else converted[0], parameter.type)


def _convert(text: str, kinds: frozenset[type]) -> Any:
    if inspect.StrType in kinds:
        return text
    if inspect.BoolType in kinds and text in _BOOLEANS:
        return _BOOLEANS[text]
    if inspect.IntType in kinds and _INTEGER.fullmatch(text):
        return int(text)
    if inspect.FloatType in kinds and _NUMBER.fullmatch(text):
        return float(text)
    return text


def _kinds(described: inspect.Type) -> frozenset[type]:
    return frozenset(
        type(inner)
        for member in _members(described)
        for inner in (_members(member.item_type) if isinstance(member, inspect.ListType) else (member,))
    )


def _members(described: inspect.Type) -> tuple[inspect.Type, ...]:
    match described:
        case inspect.UnionType():
            return tuple(m for t in described.types for m in _members(t))
        case inspect.Metadata():
            return _members(described.type)
        case _:
            return (described,)
