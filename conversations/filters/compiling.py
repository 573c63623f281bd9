"""Compiles a checked tree into a Django condition that is true or false for every row, never unknown.

Negations are pushed down to the comparisons, where what they mean for null can be written out: in SQL
`NOT (x = 1)` leaves out the rows without x, and the language says that `$ne` matches them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Q

from conversations.filters.jsonpath import Satisfies, Violates, among, compared, present
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

NOTHING = Q(pk__in=())
EVERYTHING = ~NOTHING

_LOOKUPS = {
    Operator.EQ: "exact",
    Operator.GT: "gt",
    Operator.GTE: "gte",
    Operator.LT: "lt",
    Operator.LTE: "lte",
}


def compile_filter(tree: Filter, columns: Mapping[str, str] | None = None) -> Q:
    """The condition for `QuerySet.filter`; `columns` maps fields to the model's own lookups."""
    return _Compiler(columns or {}).condition(tree, positive=True)


@dataclass(frozen=True)
class _Compiler:
    columns: Mapping[str, str]

    def condition(self, tree: Filter, *, positive: bool) -> Q:
        match tree:
            case Not(part):
                return self.condition(part, positive=not positive)
            case And(parts):
                return self._joined(parts, positive=positive, all_of=positive)
            case Or(parts):
                return self._joined(parts, positive=positive, all_of=not positive)
            case _ if tree.field.segments:
                return self._in_document(tree, positive=positive)
            case _:
                return self._in_column(tree, positive=positive)

    def _joined(self, parts: tuple[Filter, ...], *, positive: bool, all_of: bool) -> Q:
        """De Morgan: what was joined by and is joined by or when it is negated."""
        if not parts:
            return EVERYTHING if all_of else NOTHING
        conditions = (self.condition(part, positive=positive) for part in parts)
        return Q(*conditions, _connector=Q.AND if all_of else Q.OR)

    def _column(self, field: FieldPath) -> str:
        return self.columns.get(field.name, field.name)

    # -- columns

    def _in_column(self, leaf: Comparison | Membership | Presence, *, positive: bool) -> Q:
        column = self._column(leaf.field)
        is_null = Q(**{f"{column}__isnull": True})
        match leaf:
            case Presence():
                return Q(**{f"{column}__isnull": not positive})
            case Comparison(_, Operator.EQ, None):
                return Q(**{f"{column}__isnull": positive})
            case Comparison(_, operator, value):
                holds = Q(**{f"{column}__{_LOOKUPS[operator]}": value})
                # Django drops a comparison that every integer of the column fulfils, and lets null through.
                return ~is_null & holds if positive else is_null | ~holds
            case Membership(_, values):
                return _member(column, is_null, values, positive=positive)

    # -- documents

    def _in_document(self, leaf: Comparison | Membership | Presence, *, positive: bool) -> Q:
        column = self._column(leaf.field)
        exists = present(leaf.field)
        match leaf:
            case Presence():
                return Q(Satisfies(column, exists) if positive else Violates(column, exists))
            case Membership(_, ()):
                return NOTHING if positive else EVERYTHING
            case Membership(field, values):
                predicate, has_null = among(field, values), None in values
            case Comparison(field, operator, value):
                predicate, has_null = (
                    compared(field, operator, value),
                    operator is Operator.EQ and value is None,
                )
        if has_null and positive:
            return Q(Satisfies(column, predicate)) | Q(Violates(column, exists))
        if has_null:
            return Q(Violates(column, predicate)) & Q(Satisfies(column, exists))
        if positive:
            # That it is not {} follows, but the planner must read it to use an index that leaves {} out.
            return Q(Satisfies(column, predicate)) & ~Q(**{column: {}})
        return Q(Violates(column, predicate))


def _member(column: str, is_null: Q, values: tuple[Scalar, ...], *, positive: bool) -> Q:
    known = [value for value in values if value is not None]
    has_null = len(known) < len(values)
    holds = Q(**{f"{column}__in": known}) if known else NOTHING
    if positive:
        return is_null | holds if has_null else holds
    return ~is_null & ~holds if has_null else is_null | ~holds
