"""Pages of long lists by their keys: never a COUNT, never an OFFSET."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from django.db import models
from django.http import QueryDict

M = TypeVar("M", bound=models.Model)

SIZE = 50


@dataclass(frozen=True)
class Slice(Generic[M]):
    """One page, newest first; the links are query strings, empty where there is nothing more."""

    rows: Sequence[M]
    newer: str
    older: str

    def __bool__(self) -> bool:
        return bool(self.rows)


def newest_first(rows: "models.QuerySet[M]", query: QueryDict, size: int = SIZE) -> Slice[M]:
    """The page that `older` or `newer` in the query string names; a forged id gives the first page."""
    if (before := identifier(query, "newer")) is not None:
        found = list(rows.filter(pk__gt=before).order_by("pk")[: size + 1])
        more_newer, more_older = len(found) > size, True
        page = found[:size][::-1]
    else:
        after = identifier(query, "older")
        if after is not None:
            rows = rows.filter(pk__lt=after)
        found = list(rows.order_by("-pk")[: size + 1])
        more_newer, more_older = after is not None, len(found) > size
        page = found[:size]
    return Slice(
        page,
        newer=_link(query, "newer", page[0].pk) if page and more_newer else "",
        older=_link(query, "older", page[-1].pk) if page and more_older else "",
    )


def identifier(query: QueryDict, name: str) -> UUID | None:
    """The id of that name in a query string; None for anything that is none."""
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
