"""Keyset pagination for the lists of the back office: never a COUNT, never an OFFSET."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import models
from django.http import QueryDict

M = TypeVar("M", bound=models.Model)

SIZE = 50
REACH = 20_000  # rows scanned for one page when no index serves the filter


@dataclass(frozen=True)
class Slice(Generic[M]):
    """One page, newest first; the links are query strings, empty where there is nothing more."""

    rows: Sequence[M]
    newer: str
    older: str
    reached: UUID | None = None  # where the scan stopped, if before the end

    def __bool__(self) -> bool:
        return bool(self.rows)


def newest_first(
    rows: "models.QuerySet[M]",
    query: QueryDict,
    *,
    among: "models.QuerySet[Any] | None" = None,
) -> Slice[M]:
    """The page that `older` or `newer` in the query string names; a forged id gives the first page.

    With `among` at most `REACH` of those rows are scanned, and the page says where the scan stopped, so that a rare
    match costs no more in a large table than in a small one.
    """
    newer_than, older_than = identifier(query, "newer"), identifier(query, "older")
    backwards = newer_than is None
    start, order = (older_than, "-pk") if backwards else (newer_than, "pk")
    beyond, within = ("pk__lt", "pk__gte") if backwards else ("pk__gt", "pk__lte")
    if start is not None:
        rows = rows.filter(**{beyond: start})
    limit = None
    if among is not None:
        near = among.filter(**{beyond: start}) if start is not None else among
        limit = near.order_by(order).values_list("pk", flat=True)[REACH - 1 : REACH].first()
        rows = rows.filter(**{within: limit}) if limit is not None else rows
    found = list(rows.order_by(order)[: SIZE + 1])
    page = found[:SIZE]
    more = len(found) > SIZE
    if more:
        limit = None
    last = page[-1].pk if more else limit
    first = page[0].pk if page else start
    onward, back = ("older", "newer") if backwards else ("newer", "older")
    links = {onward: last, back: first if start is not None else None}
    return Slice(
        page if backwards else page[::-1],
        newer=_link(query, "newer", links["newer"]) if links["newer"] else "",
        older=_link(query, "older", links["older"]) if links["older"] else "",
        reached=limit,
    )


def identifier(query: QueryDict, name: str) -> UUID | None:
    """The id under that name in a query string; None when it is missing or malformed."""
    try:
        return UUID(query.get(name, ""))
    except ValueError:
        return None


def _link(query: QueryDict, name: str, key: UUID) -> str:
    link = query.copy()
    link.pop("newer", None)
    link.pop("older", None)
    link[name] = str(key)
    return f"?{link.urlencode()}"
