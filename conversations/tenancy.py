"""The tenant in scope: set explicitly, enforced by PostgreSQL, an error when it is missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models.sql import Query

from conversations.exceptions import TenantMissing

T = TypeVar("T")

# Statements prepared inside a scope get a generic plan: otherwise PostgreSQL would plan them again for each set of
# values, and over many partitions that takes longer than running them.
_ANNOUNCE = (
    "SELECT set_config('app.tenant', %s, true), set_config('plan_cache_mode', 'force_generic_plan', true)"
)

_current: ContextVar[UUID | None] = ContextVar("tenant", default=None)


@contextmanager
def tenant_scope(
    tenant_id: UUID, *, opened_by: Callable[[], T] | None = None, snapshot: bool = False
) -> Iterator[T | None]:
    """A transaction on `default` that sees this tenant's rows and no others. Nested in the same scope, it joins it.

    The setting is local to the transaction, so nothing of it is left on a persistent connection. To save a round trip,
    `opened_by` may run a first statement that sets the tenant itself; its result is yielded.
    With `snapshot` every statement sees the database as of one moment, and none times out.
    """
    outer = _current.get()
    if outer is not None and outer != tenant_id:
        raise TenantMissing("A scope of another tenant is open.")
    with transaction.atomic(savepoint=False):
        if snapshot and outer is None:
            _take_snapshot()
        if opened_by is None and outer is None:
            _announce(tenant_id)
        result = opened_by() if opened_by is not None else None
        token = _current.set(tenant_id)
        try:
            yield result
        finally:
            _current.reset(token)


def _take_snapshot() -> None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SET LOCAL statement_timeout = 0")


def _announce(tenant_id: UUID) -> None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_ANNOUNCE, [str(tenant_id)])


class TenantQuery(Query):
    """A query that refuses to run as `app` without a tenant: PostgreSQL would return no rows instead of an error."""

    def get_compiler(self, using: str | None = None, connection: Any = None, elide_empty: bool = True) -> Any:
        alias = using or connection.alias
        if alias == DEFAULT_DB_ALIAS and _current.get() is None:
            raise TenantMissing(f"{self.get_meta().label} was read with no tenant in scope.")
        return super().get_compiler(using=using, connection=connection, elide_empty=elide_empty)
