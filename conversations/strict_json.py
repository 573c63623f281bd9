"""JSON as every route reads and writes it: refuses whatever PostgreSQL, a mirror or a reader could not handle.

Neither available decoder is strict alone: msgspec keeps the last of two equal keys and accepts NUL and integers
of any length, the standard library accepts NaN, 1e999 and half a surrogate pair, and both give up at great
depth. So the standard library parses, with hooks that refuse, and msgspec checks the tree against the type.
"""

import math
import re
from collections.abc import Iterator
from itertools import islice
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn, TypeVar

import msgspec

from conversations.exceptions import FieldError, Invalid, MalformedJSON
from conversations.timestamps import normalise_to_utc

T = TypeVar("T")

DEFAULT_DEPTH = 32
MAX_ERRORS = 20
MAX_NAME_SHOWN = 100

_INTEGERS = range(-(2**63), 2**64)
_INTEGER_DIGITS = 20

_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

_PLACE = r"(?: - at `(?:key` in `)?\$\.?(?P<path>[^`]*)`)?"
_FIELD_VIOLATION = re.compile(
    rf"Object (?P<what>missing required|contains unknown) field `(?P<name>.*?)`{_PLACE}", re.DOTALL
)
_VALUE_VIOLATION = re.compile(rf"(?P<reason>.*?){_PLACE}", re.DOTALL)
_TYPE_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}

_ENCODER = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """`value` as UTF-8 JSON: structs, dataclasses, UUIDs and datetimes (`...Z`) included."""
    return _ENCODER.encode(value)


def decode(body: bytes, type_: type[T], *, max_depth: int = DEFAULT_DEPTH) -> T:
    """The body as `type_`; no value is converted to another JSON type.

    `MalformedJSON`: not JSON in UTF-8, a key twice in one object, or a number that has no place in 64 bits.
    `Invalid`: nested deeper than `max_depth`; with the path of the field, a rule of `type_` is broken, or a
    string holds U+0000 or half a surrogate pair.
    """
    return convert(parse(body, max_depth=max_depth), type_)


def convert(tree: Any, type_: type[T]) -> T:
    """What `parse` gave as `type_`, under the rules of `decode`."""
    try:
        decoded = msgspec.convert(tree, type_, strict=True)
    except msgspec.ValidationError as violation:
        raise Invalid([field_error(str(violation))]) from None
    if errors := list(normalise_to_utc(decoded)):
        raise Invalid(errors)
    return decoded


def parse(body: bytes, *, max_depth: int = DEFAULT_DEPTH) -> Any:
    """The body as plain dicts, lists and scalars, under every rule of `decode` but those of a type."""
    _refuse_depth(body, max_depth)
    try:
        text = body.decode()
        tree = _DECODER.decode(text)
    except UnicodeDecodeError:
        raise MalformedJSON("The body is not valid UTF-8.") from None
    except JSONDecodeError as problem:
        raise MalformedJSON(f"Not valid JSON at line {problem.lineno}, column {problem.colno}.") from None
    if _SUSPECT_ESCAPE.search(text):
        _refuse_unstorable(tree)
    return tree


def _refuse_depth(body: bytes, max_depth: int) -> None:
    """Checked before any parser recurses. Each round removes the innermost pairs; their number is the depth."""
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = unescaped.translate(_ONE_KIND_OF_BRACKET, _NOT_STRUCTURE)
    brackets = b"".join(marks.split(b'"')[::2])
    if b"[" * (max_depth + 1) not in brackets:  # the crudest attack needs no rounds
        for _ in range(max_depth):
            brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets and brackets.count(b"[") == brackets.count(b"]"):
        raise Invalid(detail=f"Nested deeper than {max_depth} levels.")
    if brackets:
        raise MalformedJSON("Not valid JSON: brackets that do not match.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedJSON("A key appears twice in one object.")
    return result


def _integer(digits: str) -> int:
    # Long before int() would refuse, its time grows with the square of the length.
    if len(digits) <= _INTEGER_DIGITS and (value := int(digits)) in _INTEGERS:
        return value
    raise MalformedJSON("An integer does not fit into 64 bits.")


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise MalformedJSON("A number does not fit into 64 bits.")
    return value


def _constant(_name: str) -> NoReturn:
    raise MalformedJSON("NaN and Infinity are not JSON.")


_DECODER = JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def _refuse_unstorable(tree: Any) -> None:
    detail = "U+0000 and half of a surrogate pair cannot be stored."
    errors = [FieldError(path, "invalid", detail) for path in islice(_unstorable(tree, ""), MAX_ERRORS)]
    if errors:
        raise Invalid(errors)


def _unstorable(value: Any, path: str) -> Iterator[str]:
    """The path of each string or key that PostgreSQL cannot hold; `_refuse_depth` bounds the recursion."""
    match value:
        case str() if _UNSTORABLE.search(value):
            yield path
        case list():
            for index, item in enumerate(value):
                yield from _unstorable(item, f"{path}[{index}]")
        case dict():
            for key, item in value.items():
                field = _joined(path, _UNSTORABLE.sub("\ufffd", key))
                yield from _unstorable(key, field)
                yield from _unstorable(item, field)


def field_error(message: str) -> FieldError:
    """msgspec's sentence taken apart; of what it quotes from the body, only names of fields are kept."""
    if violation := _FIELD_VIOLATION.fullmatch(message):
        field = _joined(violation["path"] or "", violation["name"])
        if violation["what"] == "missing required":
            return FieldError(field, "required", "This field is required.")
        return FieldError(field, "unknown_field", "There is no such field here.")
    path, reason = "", message
    if violation := _VALUE_VIOLATION.fullmatch(message):
        path, reason = violation["path"] or "", violation["reason"]
    if reason.startswith(("Invalid enum value", "Invalid value")):
        return FieldError(path, "invalid", "Not one of the allowed values.")
    code = "wrong_type" if ", got `" in reason else "invalid"
    return FieldError(path, code, f"{_in_json_terms(reason).rstrip('.')}.")


def _in_json_terms(reason: str) -> str:
    return re.sub(r"`([a-z| ]+)`", lambda quoted: _type_names(quoted[1]), reason)


def _type_names(union: str) -> str:
    return " or ".join(_TYPE_NAMES.get(name, name) for name in union.split(" | "))


def _joined(path: str, name: str) -> str:
    shown = name if len(name) <= MAX_NAME_SHOWN else f"{name[:MAX_NAME_SHOWN]}..."
    return f"{path}.{shown}" if path else shown
