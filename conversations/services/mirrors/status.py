"""How far the mirrors lag behind PostgreSQL."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connections

_STATUS = """
    SELECT count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL),
           coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE parked_at IS NULL)), 0)
    FROM conversations_mirrorevent WHERE %s::uuid IS NULL OR tenant_id = %s
"""


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """Events that stores in use have not acknowledged; parked ones apart."""

    pending: int
    parked: int
    lag_seconds: float


def mirror_status(tenant_id: UUID | None = None) -> MirrorStatus:
    """Of one tenant, or of all; exact at once."""
    with connections["ops"].cursor() as cursor:
        cursor.execute(_STATUS, [tenant_id, tenant_id])
        pending, parked, lag = cursor.fetchone()
    return MirrorStatus(pending, parked, round(float(lag), 3))


def pending_events() -> int:
    return mirror_status().pending
