"""The syntax tree of a checked filter."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from conversations.filters.fields import FieldType

Scalar: TypeAlias = UUID | str | int | float | bool | datetime | None


class Operator(StrEnum):
    """The comparisons with one value; `$ne` is the negation of `EQ`."""

    EQ = "$eq"
    GT = "$gt"
    GTE = "$gte"
    LT = "$lt"
    LTE = "$lte"


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A column, or a place inside a JSON column when `segments` is not empty."""

    name: str
    type: FieldType
    segments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.segments))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The field compares so with the value; with `EQ`, null also means missing."""

    field: FieldPath
    operator: Operator
    value: Scalar


@dataclass(frozen=True, slots=True)
class Membership:
    """The field equals one of the values; none of them: nothing matches."""

    field: FieldPath
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Presence:
    """The column is not null; inside JSON: the path leads somewhere, be it to null."""

    field: FieldPath


@dataclass(frozen=True, slots=True)
class Not:
    part: "Filter"


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; without parts: everything matches."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Filter", ...]


Leaf: TypeAlias = Comparison | Membership | Presence
Filter: TypeAlias = Leaf | Not | And | Or


def comparisons(tree: Filter, *, positive: bool = True) -> Iterator[tuple[Leaf, bool]]:
    """Every comparison of the tree, and whether it counts as it stands or negated."""
    match tree:
        case Not(part):
            yield from comparisons(part, positive=not positive)
        case And(parts) | Or(parts):
            for part in parts:
                yield from comparisons(part, positive=positive)
        case _:
            yield tree, positive


def unindexed_fields(tree: Filter) -> tuple[str, ...]:
    """The JSON paths that are checked row by row: what to name when a query ran out of time."""
    return tuple(
        dict.fromkeys(
            str(leaf.field)
            for leaf, positive in comparisons(tree)
            if leaf.field.segments and not (positive and _is_equality(leaf))
        )
    )


def _is_equality(leaf: Leaf) -> bool:
    match leaf:
        case Comparison(_, Operator.EQ, value):
            return value is not None
        case Membership(_, values):
            return None not in values
        case _:
            return False
