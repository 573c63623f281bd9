"""Keyset pagination: without offsets a page costs the same at the start and a million rows on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from django.db.models import Model, QuerySet
from msgspec import Meta

from conversations.exceptions import Invalid
from conversations.filters.ordering import Order, OrderKey

M = TypeVar("M", bound=Model)
S = TypeVar("S")

LARGEST_PAGE = 200


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of every list; lists with filters derive from it."""

    limit: Annotated[int, Meta(ge=1, le=LARGEST_PAGE)] = 50
    after: UUID | None = None
    before: UUID | None = None
    order: Literal["asc", "desc"] | None = None

    def __post_init__(self) -> None:
        if self.after is not None and self.before is not None:
            raise ValueError("Give `after` or `before`, not both.")


class ListOf(msgspec.Struct, Generic[S], kw_only=True):
    """A page as it is answered."""

    object: Literal["list"] = "list"
    data: Sequence[S]
    first_id: str | None
    last_id: str | None
    has_more: bool


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Rows in list order; `has_more` speaks of the direction walked."""

    rows: Sequence[M]
    has_more: bool

    def answer(self, show: Callable[[M], S]) -> ListOf[S]:
        """The page with each row shown by `show`."""
        return self.of([show(row) for row in self.rows])

    def of(self, data: Sequence[S]) -> ListOf[S]:
        """The page with these representations of its rows, in the same order."""
        first, last = (self.rows[0].pk, self.rows[-1].pk) if self.rows else (None, None)
        return ListOf(
            data=data,
            first_id=None if first is None else str(first),
            last_id=None if last is None else str(last),
            has_more=self.has_more,
        )


NEWEST_FIRST = Order((OrderKey("id", descending=True),))
BY_POSITION = Order((OrderKey("position"),))


def paginate(
    rows: QuerySet[M], page: PageQuery, *, order: Order = NEWEST_FIRST, cursors: QuerySet[M] | None = None
) -> Page[M]:
    """One page of `rows` in `order`, or against it when `page.order` says so.

    A cursor must be the id of one of `cursors` (default: of `rows`), else Invalid. One statement, or two with
    a cursor. The last key of the order must be unique among the rows.
    """
    backwards = page.before is not None
    walk = _turned(order, page.order)
    if backwards:
        walk = _reversed(walk)
    if cursor := page.before or page.after:
        columns = _anchor(
            rows if cursors is None else cursors, cursor, walk, "before" if backwards else "after"
        )
        rows = rows.filter(walk.after(columns))
    found = list(rows.order_by(*walk.expressions())[: page.limit + 1])
    kept = found[: page.limit]
    return Page(kept[::-1] if backwards else kept, has_more=len(found) > page.limit)


def _turned(order: Order, direction: str | None) -> Order:
    """The direction speaks of the first key; the others turn with it."""
    if direction is None or (direction == "desc") == order.keys[0].descending:
        return order
    return _reversed(order)


def _reversed(order: Order) -> Order:
    return Order(tuple(OrderKey(key.name, not key.descending) for key in order.keys))


def _anchor(rows: QuerySet[M], cursor: UUID, order: Order, name: str) -> Sequence[Any]:
    found: Sequence[Any] | None = (
        rows.order_by().filter(pk=cursor).values_list(*(key.name for key in order.keys)).first()
    )
    if found is None:
        raise Invalid.field(name, "No entry of this list has this id.", code="bad_cursor")
    return found
