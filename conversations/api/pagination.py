"""Keyset pagination: without offsets a page costs the same at the start and a million rows on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from django.db.models import Max, Model, QuerySet
from msgspec import Meta

from conversations import ids
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
    """Rows in list order; `has_more` refers to the direction of paging."""

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

    A cursor is a place: paging goes on from there when the entry that had this id is gone. One statement; one or two
    more with a cursor in an order that ids do not tell, whose entry is looked up in `cursors` (default: `rows`). The
    last key of the order must be unique among the rows. Invalid for a cursor whose place is not known.
    """
    backwards = page.before is not None
    walk = _turned(order, page.order)
    if backwards:
        walk = _reversed(walk)
    if cursor := page.before or page.after:
        place = _place(rows if cursors is None else cursors, cursor, walk, "before" if backwards else "after")
        rows = rows.filter(walk.after(place))
    found = list(rows.order_by(*walk.expressions())[: page.limit + 1])
    kept = found[: page.limit]
    return Page(kept[::-1] if backwards else kept, has_more=len(found) > page.limit)


def _turned(order: Order, direction: str | None) -> Order:
    """The direction is that of the first key; the others are reversed with it."""
    if direction is None or (direction == "desc") == order.keys[0].descending:
        return order
    return _reversed(order)


def _reversed(order: Order) -> Order:
    return Order(tuple(OrderKey(key.name, not key.descending) for key in order.keys))


def _place(rows: QuerySet[M], cursor: UUID, order: Order, name: str) -> Sequence[Any]:
    """The values of the order's keys at a cursor."""
    if cursor.version != ids.VERSION:
        raise Invalid.field(name, "No entry of a list has such an id.", code="bad_cursor")
    keys = [key.name for key in order.keys]
    if keys == ["id"]:
        return [cursor]
    rows = rows.order_by()
    entry: Sequence[Any] | None = rows.filter(pk=cursor).values_list(*keys).first()
    if entry is not None:
        return entry
    if order in (BY_POSITION, _reversed(BY_POSITION)):
        # Within a session ids follow positions: it stood between the last message older than it and the next.
        older = rows.filter(pk__lt=cursor).aggregate(last=Max("position"))["last"]
        return [(older or 0) + 0.5]
    detail = "The entry is gone, and with it its place in this order: begin again."
    raise Invalid.field(name, detail, code="bad_cursor")
