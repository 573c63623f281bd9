"""What is due in each class: counted for previews and the fuse, disposed of in batches by purges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.db import connection

from retention.enums import RecordClass
from retention.policies import Policy
from retention.services.purges.disposition import Disposed

SAMPLES = 10


@dataclass(frozen=True)
class Due:
    """How many records are due, how many a hold keeps past their period, and sample ids of those due.

    With `has_more` only the oldest were counted.
    """

    candidates: int
    held: int
    samples: tuple[UUID, ...]
    cutoff: datetime  # one period before now, on the calendar of the tenant's zone
    has_more: bool


@dataclass(frozen=True)
class Overdue:
    """Records that should be gone: how many, counted up to a limit, and when the first of them reached its end."""

    records: int = 0
    since: datetime | None = None


@dataclass(frozen=True)
class Judged:
    """The law over a class: a subquery with the columns `id`, `ends`, `held` and `ended_at`, and its parameters."""

    sql: str
    values: Mapping[str, Any]


class Purgeable(Protocol):
    """A class of records for previews and purges. Every method runs inside a tenant scope."""

    record_class: RecordClass

    def judge(self, tenant_id: UUID, policy: Policy, now: datetime) -> Judged:
        """Every record past its period at that moment, and what the law says of it."""

    def dispose(self, tenant_id: UUID, policy: Policy, now: datetime, after: UUID, limit: int) -> Disposed:
        """Archive or destroy up to `limit` records with ids after `after`."""

    def sweep(self, tenant_id: UUID, policy: Policy, now: datetime) -> Mapping[str, int]:
        """Remove up to a batch of what else belongs to the class; counts by table, empty when done."""


def count_due(
    purgeable: Purgeable, tenant_id: UUID, policy: Policy, now: datetime, most: int | None = None
) -> Due:
    """What a purge would find at that moment; with `most`, among that many of the oldest records."""
    judged = purgeable.judge(tenant_id, policy, now)
    rows, counted = judged.sql, "true"
    if most is not None:  # and one more, to know whether there is one
        numbered = f"SELECT j.*, row_number() OVER (ORDER BY j.id) AS number FROM ({judged.sql}) j"
        rows, counted = f"{numbered} ORDER BY j.id LIMIT %(most)s + 1", "d.number <= %(most)s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FILTER (WHERE d.ends AND {counted}), count(*) FILTER (WHERE d.held AND {counted}),"
            f" (array_agg(d.id ORDER BY d.id) FILTER (WHERE d.ends AND {counted}))[1:{SAMPLES}],"
            " ((%(now)s AT TIME ZONE %(zone)s) - %(period)s::interval) AT TIME ZONE %(zone)s,"
            f" count(*) > %(most)s IS TRUE FROM ({rows}) d",
            {**judged.values, "most": most},
        )
        candidates, held, samples, cutoff, has_more = cursor.fetchone()
    return Due(candidates, held, tuple(samples or ()), cutoff, has_more)


def count_overdue(
    purgeable: Purgeable, tenant_id: UUID, policy: Policy, now: datetime, limit: int
) -> Overdue:
    """What a purge should have ended by now, oldest first."""
    judged = purgeable.judge(tenant_id, policy, now)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), min(o.ended_at) FROM"
            f" (SELECT d.ended_at FROM ({judged.sql}) d WHERE d.ends ORDER BY d.id LIMIT %(most)s) o",
            {**judged.values, "most": limit},
        )
        return Overdue(*cursor.fetchone())
