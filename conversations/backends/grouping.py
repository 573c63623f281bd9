"""Counting sessions by one of their properties: the request and the result, the same for every store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

MOST_GROUPS = 1_000
_DECIMALS = 3


class GroupBy(StrEnum):
    """What sessions are counted by; of the last four a session may have several or none."""

    DAY = "day"
    LANGUAGE = "language"
    CHANNEL = "channel"
    OUTLET_ID = "outlet_id"
    ISSUE_TYPE = "issue_type"
    SUCCESS = "success"
    INTENT = "intent"
    ENTITY = "entity"
    TOOL = "tool"


class Interval(StrEnum):
    """The length of a `day` group, in UTC; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Live sessions of a tenant begun in [start, end), both to the millisecond."""

    tenant_id: UUID
    by: GroupBy
    interval: Interval = Interval.DAY
    start: dt.datetime | None = None
    end: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions that have the key; the means are over those of them that say how they ended."""

    key: str | bool
    count: int
    mean_resolution_seconds: float | None = None
    success_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Groups:
    """The most common groups first, and how many sessions have any key."""

    groups: tuple[Group, ...]
    sessions: int


class SessionCounter(Protocol):
    """Counts sessions; Elasticsearch and PostgreSQL both do, with the same answers."""

    name: str

    def group(self, grouping: Grouping) -> Groups: ...


def most_common(groups: Iterable[Group], sessions: int) -> Groups:
    """The groups in the order of every answer: by count, then by key as code points are ordered."""
    ordered = sorted(groups, key=lambda group: (-group.count, str(group.key)))
    return Groups(tuple(ordered[:MOST_GROUPS]), sessions)


def rounded(mean: float | None) -> float | None:
    """A mean without the last digits, which depend on the order of adding."""
    return None if mean is None else round(mean, _DECIMALS)
