"""The fuse: a purge that would take far more than time alone explains stops before its first row.

What time explains is computed from the previous run: its policy, and its clock moved on. So a policy that was shortened
by mistake or a clock that jumped trips the fuse, and a backlog does not: that would have been due in any case.
"""

from datetime import datetime
from uuid import UUID

from django.conf import settings

from retention.enums import RunState
from retention.models import PurgeRun
from retention.policies import Policy
from retention.services.policies import policy_of_version
from retention.services.purges.clocks import SteadyReading, earliest_now
from retention.services.purges.due import Due, Purgeable, count_due

FACTOR = 1.5


def expected_due(tenant_id: UUID, purgeable: Purgeable, policy: Policy, now: datetime, due: Due) -> int:
    """How many records would be due under the policy and clock of the last run that was not stopped.

    Runs inside a tenant scope.
    """
    before = _last_run(tenant_id, purgeable)
    trusted_policy, trusted_now = policy, earliest_now(now)
    if before is not None:
        trusted_policy = policy_of_version(tenant_id, before.policy_version)
        then = SteadyReading(before.boot_id, before.uptime) if before.uptime is not None else None
        trusted_now = earliest_now(now, before=before.judged_at, then=then)
    if trusted_policy == policy and trusted_now == now:
        return due.candidates
    return count_due(purgeable, tenant_id, trusted_policy, trusted_now).candidates


def is_blown(candidates: int, expected: int) -> bool:
    return bool(candidates > FACTOR * expected + settings.PURGE_FUSE_FLOOR)


def _last_run(tenant_id: UUID, purgeable: Purgeable) -> PurgeRun | None:
    runs = PurgeRun.objects.for_tenant(tenant_id).filter(record_class=purgeable.record_class)
    return runs.filter(state=RunState.DONE).order_by("-id").first()
