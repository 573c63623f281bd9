"""What each class has to end: counted for previews and the fuse, settled batch by batch for purges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.db import connection

from retention.enums import RecordClass
from retention.policies import Policy
from retention.services.settling import Settled

SAMPLES = 10


@dataclass(frozen=True)
class Due:
    """How many records are to go, how many a hold keeps past their period, and some of the ids to go."""

    candidates: int = 0
    held: int = 0
    samples: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class Overdue:
    """Records that should be gone: how many, counted up to a limit, and when the first of them came to its end."""

    records: int = 0
    since: datetime | None = None


@dataclass(frozen=True)
class Judged:
    """The law over a class: a subquery with the columns `id`, `ends`, `held` and `ended_at`, and its parameters."""

    sql: str
    values: Mapping[str, Any]


class Purgeable(Protocol):
    """A class of records as previews and purges see it. Every method runs inside a tenant scope."""

    record_class: RecordClass

    def judge(self, tenant_id: UUID, policy: Policy, now: datetime) -> Judged:
        """Every record past its period at that moment, and what the law says of it."""

    def settle(self, tenant_id: UUID, policy: Policy, now: datetime, after: UUID, limit: int) -> Settled:
        """End up to `limit` records with ids beyond `after`."""

    def sweep(self, tenant_id: UUID, policy: Policy, now: datetime) -> Mapping[str, int]:
        """End up to a batch of what belongs to the class beside its records; counts by table, empty when done."""


def count_due(purgeable: Purgeable, tenant_id: UUID, policy: Policy, now: datetime) -> Due:
    """What a purge would find at that moment."""
    judged = purgeable.judge(tenant_id, policy, now)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE d.ends), count(*) FILTER (WHERE d.held),"
            f" (array_agg(d.id ORDER BY d.id) FILTER (WHERE d.ends))[1:{SAMPLES}] FROM ({judged.sql}) d",
            judged.values,
        )
        candidates, held, samples = cursor.fetchone()
    return Due(candidates, held, tuple(samples or ()))


def count_overdue(
    purgeable: Purgeable, tenant_id: UUID, policy: Policy, now: datetime, limit: int
) -> Overdue:
    """What a purge has left, oldest first."""
    judged = purgeable.judge(tenant_id, policy, now)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), min(o.ended_at) FROM"
            f" (SELECT d.ended_at FROM ({judged.sql}) d WHERE d.ends ORDER BY d.id LIMIT %(most)s) o",
            {**judged.values, "most": limit},
        )
        return Overdue(*cursor.fetchone())


def cutoff(policy: Policy, record_class: RecordClass, now: datetime) -> datetime:
    """The moment one period before now, on the calendar of the tenant's zone."""
    zone, period = policy.zone, str(policy.period(record_class))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ((%s AT TIME ZONE %s) - %s::interval) AT TIME ZONE %s", [now, zone, period, zone]
        )
        at: datetime = cursor.fetchone()[0]
    return at
