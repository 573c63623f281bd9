"""One advisory lock per tenant between work that destroys data and acts that forbid it.

Purges and erasures take it shared, batch by batch; placing a hold or changing the policy takes it exclusively.
PostgreSQL grants locks in order, so a hold waits for running batches and for no later one.
"""

from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from conversations.locking import lock_number

PATIENCE = "15s"  # a batch takes a fraction of a second


def share(tenant_id: UUID, using: str = DEFAULT_DB_ALIAS) -> None:
    """Until the transaction ends no hold is placed and no policy changed; several may share."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [lock_number("retention", tenant_id)])


def exclude_purges(tenant_id: UUID) -> None:
    """Until the transaction ends nothing of the tenant is archived or destroyed."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_number("retention", tenant_id)])
