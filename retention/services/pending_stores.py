"""How many of a tenant's rows each store has yet to follow."""

from uuid import UUID

from django.db import connections

from conversations.enums import Sink

_WAITING = """
    SELECT sink, count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL)
    FROM conversations_mirrorevent WHERE tenant_id = %s GROUP BY sink ORDER BY sink
"""


def events_waiting(tenant_id: UUID) -> dict[str, tuple[int, int]]:
    """(waiting, parked) by the store's name; stores that have caught up are not named."""
    with connections["ops"].cursor() as cursor:
        cursor.execute(_WAITING, [tenant_id])
        return {Sink(sink).label: (waiting, parked) for sink, waiting, parked in cursor.fetchall()}
