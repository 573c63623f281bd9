"""The archive class: archive records, and what else is kept as long."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from conversations import ids
from conversations.enums import Reason
from retention.enums import RecordClass, Verdict
from retention.law import held_sql, parameters, verdict_sql
from retention.periods import bounds, expires_sql
from retention.policies import Policy
from retention.services import locks
from retention.services.holds import HOLDS
from retention.services.purges.disposition import FIRST_ID, Disposed, leaf_of
from retention.services.purges.due import Judged

BATCH = 1_000

ARCHIVE_HELD = held_sql(HOLDS, since="a.created_at", customer_id="a.customer_id", session_id="a.session_id")
ARCHIVE_VERDICT = verdict_sql("a.created_at", held=ARCHIVE_HELD, erasure="(a.hidden_at IS NOT NULL)")

_FROM = """
    FROM retention_archiverecord a WHERE a.tenant_id = %(tenant)s AND a.id > %(after)s AND a.id < %(below)s
    AND %(now)s >= {expires}
"""
_JUDGE = "SELECT a.id, {verdict} = %(destroy)s AS ends, {held} AS held, {ended_at} AS ended_at {rows}"
_DELETE = """
    DELETE FROM retention_archiverecord r USING (
        SELECT d.id FROM (SELECT a.id, {verdict} AS verdict {rows}) d
        WHERE d.verdict = %(destroy)s ORDER BY d.id LIMIT %(limit)s) d
    WHERE r.tenant_id = %(tenant)s AND r.id = d.id
    RETURNING r.id, r.row_version, r.sealed
"""


class PurgeableArchive:
    """`Purgeable` for archive records."""

    record_class = RecordClass.ARCHIVE

    def judge(self, tenant_id: UUID, policy: Policy, now: datetime) -> Judged:
        sql = _JUDGE.format(verdict=ARCHIVE_VERDICT, held=ARCHIVE_HELD, ended_at=_ENDED_AT, rows=_ROWS)
        return Judged(sql, _values(tenant_id, policy, now, FIRST_ID))

    def dispose(self, tenant_id: UUID, policy: Policy, now: datetime, after: UUID, limit: int) -> Disposed:
        locks.share(tenant_id)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.reason', %s, true)", [str(Reason.PURGE.value)])
            cursor.execute(
                _DELETE.format(verdict=ARCHIVE_VERDICT, rows=_ROWS),
                {**_values(tenant_id, policy, now, after), "limit": limit},
            )
            rows = sorted(cursor.fetchall())
        return Disposed(
            destroyed=len(rows),
            leaves=tuple(leaf_of(row_id, version, bytes(sealed)) for row_id, version, sealed in rows),
            ids=tuple(row_id for row_id, _, _ in rows),
            last_id=rows[-1][0] if rows else None,
            exhausted=len(rows) < limit,
        )

    def sweep(self, tenant_id: UUID, policy: Policy, now: datetime) -> Mapping[str, int]:
        return {}


_ENDED_AT = expires_sql("a.created_at")
_ROWS = _FROM.format(expires=_ENDED_AT)


def _values(tenant_id: UUID, policy: Policy, now: datetime, after: UUID) -> dict[str, Any]:
    youngest = bounds(now, policy.archive).none_expired_after
    return {
        "tenant": tenant_id,
        "after": after,
        "below": ids.floor_id(youngest),
        "destroy": str(Verdict.DESTROY.value),
        **parameters(RecordClass.ARCHIVE, policy, now),
    }
