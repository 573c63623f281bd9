"""Counts overdue records: a purge that quietly stopped would otherwise look exactly like success."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from django.db.models import Max

from conversations import ids
from conversations.services.accounts.tenants import all_tenants
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass, RunState
from retention.models import PurgeRun
from retention.services.policies import policy_in_force
from retention.services.purges.due import count_overdue
from retention.services.purges.runs import PURGEABLES

MOST = 100_000  # records of one class that are counted one by one
LIFETIME = 60.0  # seconds a result is cached: metrics are scraped more often


@dataclass(frozen=True)
class Watch:
    """One class over all tenants."""

    record_class: RecordClass
    overdue: int  # records past their end that nothing keeps; each tenant counts up to MOST
    overdue_since: datetime | None  # the end of the oldest of them
    purged_at: datetime | None  # the oldest of the tenants' last successful purges; None if one has had none
    stopped: int  # runs that wait for a person


def watch() -> Sequence[Watch]:
    """Overdue records and runs by class; at most `LIFETIME` old. Opens a tenant scope for each tenant."""
    return _latest_result.latest()


def _look() -> list[Watch]:
    tenants = all_tenants()
    now = ids.now()
    looks = []
    for record_class, purgeable in PURGEABLES.items():
        found = []
        for tenant in tenants:
            with tenant_scope(tenant.id):
                policy = policy_in_force(tenant.id, now)
                found.append(count_overdue(purgeable, tenant.id, policy, now, MOST))
        runs = PurgeRun.objects.using("ops").filter(record_class=record_class)
        done = runs.filter(state=RunState.DONE).values("tenant_id").annotate(at=Max("finished_at"))
        purged_at = {run["tenant_id"]: run["at"] for run in done}
        looks.append(
            Watch(
                record_class=record_class,
                overdue=sum(one.records for one in found),
                overdue_since=min((one.since for one in found if one.since), default=None),
                purged_at=min((purged_at[t.id] for t in tenants), default=None)
                if all(t.id in purged_at for t in tenants)
                else None,
                stopped=runs.filter(state=RunState.STOPPED).count(),
            )
        )
    return looks


class _LatestResult:
    """The latest result, shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = -LIFETIME
        self._watches: Sequence[Watch] = ()

    def latest(self) -> Sequence[Watch]:
        with self._lock:
            if monotonic() - self._at >= LIFETIME:
                self._watches, self._at = _look(), monotonic()
            return self._watches

    def forget(self) -> None:
        with self._lock:
            self._at = -LIFETIME


_latest_result = _LatestResult()
