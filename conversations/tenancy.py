"""The tenant of the work at hand: opened explicitly, enforced by PostgreSQL, loud when it is missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models.sql import Query

from conversations.exceptions import TenantMissing

T = TypeVar("T")

# What is prepared inside a scope is planned once: for its values PostgreSQL would plan it anew each time, and over many
# partitions that takes longer than running it.
_ANNOUNCE = (
    "SELECT set_config('app.tenant', %s, true), set_config('plan_cache_mode', 'force_generic_plan', true)"
)

_current: ContextVar[UUID | None] = ContextVar("tenant", default=None)


@contextmanager
def tenant_scope(
    tenant_id: UUID, *, opened_by: Callable[[], T] | None = None, snapshot: bool = False
) -> Iterator[T | None]:
    """A transaction on `default` that sees this tenant's rows and no others. Inside the same scope: part of it.

    The setting is local to the transaction, so nothing of it is left on a persistent connection. Where time counts,
    `opened_by` runs a first statement that announces the tenant by itself; what it returns is yielded.
    With `snapshot` every statement sees the record as of one moment, and may take as long as it needs.
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
    """A query that refuses to run as `app` without a tenant: PostgreSQL would answer with silence, not an error."""

    def get_compiler(self, using: str | None = None, connection: Any = None, elide_empty: bool = True) -> Any:
        alias = using or connection.alias
        if alias == DEFAULT_DB_ALIAS and _current.get() is None:
            raise TenantMissing(f"{self.get_meta().label} was read with no tenant in scope.")
        return super().get_compiler(using=using, connection=connection, elide_empty=elide_empty)
