"""Everything that a hold covers, live or archived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db import connection

from conversations import ids
from conversations.ports import lifecycle
from retention.law import expires_sql
from retention.models import LegalHold

State = Literal["live", "beyond_use", "archived"]

# The hold's own scope, for rows of messages and of the archive alike.
_COVERED = """
    x.tenant_id = %(tenant)s AND x.id < %(before)s AND x.id > %(after)s
    AND (%(customer)s::uuid IS NULL OR x.customer_id = %(customer)s)
    AND (%(session)s::uuid IS NULL OR x.session_id = %(session)s)
    AND (%(start)s::timestamptz IS NULL OR x.created_at >= %(start)s)
    AND (%(end)s::timestamptz IS NULL OR x.created_at < %(end)s)
"""
_ALIVE = f"(x.hidden_at IS NULL AND %(now)s < {expires_sql('x.created_at')})"
_COLUMNS = "x.id, x.session_id, x.customer_id, x.role, x.position, x.scrubbed, x.created_at"
_PAGE = f"""
    (SELECT {_COLUMNS}, CASE WHEN {_ALIVE} THEN 'live' ELSE 'beyond_use' END AS state
     FROM conversations_message x WHERE {_COVERED} ORDER BY x.id {{direction}} LIMIT %(limit)s)
    UNION ALL
    (SELECT {_COLUMNS}, 'archived' FROM retention_archiverecord x WHERE {_COVERED}
     ORDER BY x.id {{direction}} LIMIT %(limit)s)
    ORDER BY 1 {{direction}} LIMIT %(limit)s
"""
_LOWEST, _HIGHEST = UUID(int=0), UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A message under a hold, by its scrubbed text."""

    id: UUID
    session_id: UUID
    customer_id: UUID | None
    role: str
    position: int
    text: str
    created_at: datetime
    state: State


def read_held_records(
    hold: LegalHold,
    *,
    limit: int,
    descending: bool = True,
    older_than: UUID | None = None,
    newer_than: UUID | None = None,
) -> Sequence[HeldRecord]:
    """Up to `limit` records by id, between the two cursors. Runs inside a tenant scope."""
    expiry = lifecycle().expiry(hold.tenant_id)
    values = {
        "tenant": hold.tenant_id,
        "customer": hold.customer_id,
        "session": hold.session_id,
        "start": hold.start_time,
        "end": hold.end_time,
        "before": older_than or _HIGHEST,
        "after": newer_than or _LOWEST,
        "now": ids.now(),
        "zone": expiry.zone,
        "period": expiry.period,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAGE.format(direction="DESC" if descending else "ASC"), values)
        return [HeldRecord(*row) for row in cursor.fetchall()]
