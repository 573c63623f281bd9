"""Removes records of erasures, purges and holds, which are kept as long as the archive.

Each goes one archive period after it was created, unless it is still in progress.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from conversations import ids
from conversations.services.accounts.tenants import all_tenants
from conversations.tenancy import tenant_scope
from retention.enums import CaseState, RunState
from retention.periods import bounds
from retention.services.policies import policy_in_force

_OVER = "SELECT id FROM retention_erasurecase WHERE tenant_id = %(tenant)s AND id < %(below)s AND state = %(verified)s"
_RUNS = "SELECT id FROM retention_purgerun WHERE tenant_id = %(tenant)s AND id < %(below)s AND state <> ALL (%(busy)s)"
# Referring tables first.
_STATEMENTS: Mapping[str, str] = {
    "tombstones": """
        DELETE FROM conversations_tombstone t WHERE t.tenant_id = %(tenant)s AND t.id < %(below)s AND NOT EXISTS (
            SELECT FROM retention_erasurecase c
            WHERE c.tenant_id = t.tenant_id AND c.id = t.case_id AND c.state <> %(verified)s)
    """,
    "erasure_tasks": f"DELETE FROM retention_erasuretask WHERE tenant_id = %(tenant)s AND case_id IN ({_OVER})",
    "erasure_cases": f"DELETE FROM retention_erasurecase WHERE tenant_id = %(tenant)s AND id IN ({_OVER})",
    "purge_batches": f"DELETE FROM retention_purgebatch WHERE tenant_id = %(tenant)s AND run_id IN ({_RUNS})",
    "purged_ranges": f"DELETE FROM retention_purgedrange WHERE tenant_id = %(tenant)s AND run_id IN ({_RUNS})",
    "purge_runs": f"DELETE FROM retention_purgerun WHERE tenant_id = %(tenant)s AND id IN ({_RUNS})",
    "holds": "DELETE FROM retention_legalhold WHERE tenant_id = %(tenant)s AND grace_until < %(since)s",
}


def remove_expired_records() -> Mapping[str, int]:
    """Remove expired records of every tenant; counts by table."""
    ended: Counter[str] = Counter()
    for tenant in all_tenants():
        ended.update(_end(tenant.id))
    return ended


def _end(tenant_id: UUID) -> Mapping[str, int]:
    now = ids.now()
    with tenant_scope(tenant_id):
        since = bounds(now, policy_in_force(tenant_id, now).archive).all_expired_through
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "since": since,
        "below": ids.floor_id(since),
        "verified": CaseState.VERIFIED.value,
        "busy": [RunState.RUNNING.value, RunState.STOPPED.value],
    }
    with transaction.atomic(using="ops"), connections["ops"].cursor() as cursor:
        ended = {}
        for name, statement in _STATEMENTS.items():
            cursor.execute(statement, values)
            ended[name] = cursor.rowcount
    return ended
