"""`column @@ predicate`: one operator for every comparison inside a JSON column.

PostgreSQL answers it from a GIN index when the predicate holds equalities, looks into one level of arrays as
Mongo does, and calls a comparison of unlike types unknown where a cast would be an error.
"""

from collections.abc import Iterable

import msgspec
from django.db.models import BooleanField, F, Func, Value

from conversations.filters.syntax import FieldPath, Operator, Scalar

_OPERATORS = {
    Operator.EQ: "==",
    Operator.GT: ">",
    Operator.GTE: ">=",
    Operator.LT: "<",
    Operator.LTE: "<=",
}


class Satisfies(Func):
    """True when the predicate holds in the document; null when it does not apply."""

    template = "%(expressions)s::jsonpath"
    arg_joiner = " @@ "
    output_field = BooleanField()

    def __init__(self, column: str, predicate: str) -> None:
        super().__init__(F(column), Value(predicate))


class Violates(Satisfies):
    """True when the predicate does not hold, does not apply, or there is no document."""

    template = "(%(expressions)s::jsonpath) IS NOT TRUE"


def present(field: FieldPath) -> str:
    """The predicate that the path leads somewhere."""
    return f"exists({_place(field)})"


def compared(field: FieldPath, operator: Operator, value: Scalar) -> str:
    """The predicate that what the field holds compares so with the value."""
    return f"{_place(field)} {_OPERATORS[operator]} {_literal(value)}"


def among(field: FieldPath, values: Iterable[Scalar]) -> str:
    """The predicate that the field holds one of the values (at least one)."""
    return " || ".join(compared(field, Operator.EQ, value) for value in values)


def _place(field: FieldPath) -> str:
    return "".join(("$", *(f".{_literal(segment)}" for segment in field.segments)))


def _literal(value: Scalar) -> str:
    """A JSON literal, which is a jsonpath literal too: its strings follow the same escapes."""
    return msgspec.json.encode(value).decode()
