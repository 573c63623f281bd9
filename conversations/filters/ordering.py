"""`order_by`, and the condition of the next page: keyset paging, so page 1,000 costs what page 1 costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, OrderBy, Q

from conversations.exceptions import Invalid
from conversations.filters.compiling import EVERYTHING, NOTHING
from conversations.filters.fields import NULLABLE_ORDERS, ORDERS, Kind


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One column of an order. Null is less than every value, so one index serves both directions."""

    name: str
    descending: bool = False

    @property
    def nullable(self) -> bool:
        return self.name in NULLABLE_ORDERS

    def expression(self) -> OrderBy:
        """The column for `QuerySet.order_by`; plain where it is never null, as its index is."""
        if not self.nullable:
            return OrderBy(F(self.name), descending=self.descending)
        if self.descending:
            return OrderBy(F(self.name), descending=True, nulls_last=True)
        return OrderBy(F(self.name), nulls_first=True)

    def beyond(self, value: Any) -> Q:
        """The rows that come after a row with this value, by this key alone."""
        if value is None:
            return NOTHING if self.descending else Q(**{f"{self.name}__isnull": False})
        further = Q(**{f"{self.name}__{'lt' if self.descending else 'gt'}": value})
        return further | self.level(None) if self.descending and self.nullable else further

    def level(self, value: Any) -> Q:
        """The rows that this key cannot tell from a row with this value."""
        return Q(**{f"{self.name}__isnull": True}) if value is None else Q(**{self.name: value})


@dataclass(frozen=True, slots=True)
class Order:
    """A total order: the last key is always the id."""

    keys: tuple[OrderKey, ...]

    def expressions(self) -> list[OrderBy]:
        return [key.expression() for key in self.keys]

    def after(self, values: Sequence[Any]) -> Q:
        """The rows after the one that has these values of the keys."""
        condition, level = NOTHING, EVERYTHING
        for key, value in zip(self.keys, values, strict=True):
            condition |= level & key.beyond(value)
            level &= key.level(value)
        return condition


def parse_order(raw: Any, kind: Kind) -> Order:
    """The order that a list of names asks for; newest first if it is null or empty. Raises Invalid."""
    names = [] if raw is None else raw
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Invalid.field("order_by", 'must be a list of names, such as ["-created_at"]', code="wrong_type")
    keys = [OrderKey(name.removeprefix("-"), name.startswith("-")) for name in names or ["-id"]]
    known = [key.name for key in keys]
    if len(set(known)) < len(known) or not set(known) <= set(ORDERS[kind]):
        allowed = ", ".join(ORDERS[kind])
        detail = f"must name some of {allowed}, each once, with or without -"
        raise Invalid.field("order_by", detail, code="unknown_field")
    if "id" in known:
        return Order(tuple(keys[: known.index("id") + 1]))
    return Order((*keys, OrderKey("id", keys[-1].descending)))
