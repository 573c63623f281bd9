"""Named reads of the core's tables."""

from datetime import datetime
from typing import Any, Self, TypeVar
from uuid import UUID

from django.db import models
from django.db.models.expressions import Func, Value

from conversations.ids import floor_id
from conversations.ports import Expiry
from conversations.tenancy import TenantQuery

M_co = TypeVar("M_co", bound=models.Model, covariant=True)


class Unexpired(Func):
    """The SQL twin of `expires_at(created_at, policy) > now`: calendar arithmetic in the tenant's zone."""

    template = "(((%(expressions)s AT TIME ZONE %%s) + %%s::interval) AT TIME ZONE %%s > %%s)"
    output_field = models.BooleanField()

    def __init__(self, column: str, expiry: Expiry, now: datetime) -> None:
        super().__init__(models.F(column))
        self.values = (expiry.zone, expiry.period, expiry.zone, now)

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **extra: Any) -> Any:
        sql, params = super().as_sql(compiler, connection, *args, **extra)
        return sql, (*params, *self.values)


class TenantQuerySet(models.QuerySet[M_co]):
    """Rows of tenants. As `app` it refuses to run without a tenant in scope."""

    def __init__(
        self, model: Any = None, query: Any = None, using: str | None = None, hints: Any = None
    ) -> None:
        super().__init__(model=model, query=query or TenantQuery(model), using=using, hints=hints)

    def for_tenant(self, tenant_id: UUID) -> Self:
        """Named although row-level security says the same: the planner then uses the tenant's indexes."""
        return self.filter(tenant_id=tenant_id)


class LiveQuerySet(TenantQuerySet[M_co]):
    """Rows that can be hidden before they are gone."""

    def live(self) -> Self:
        return self.filter(hidden_at__isnull=True)


class MessageQuerySet(LiveQuerySet[M_co]):
    def visible(self, expiry: Expiry, now: datetime) -> Self:
        """What an agent may see at that moment, whether or not a purge has run.

        The bound on the id has a day of slack and prunes partitions; the expression decides to the microsecond.
        """
        return self.live().filter(Unexpired("created_at", expiry, now), id__gte=floor_id(expiry.floor(now)))


class MemoryQuerySet(LiveQuerySet[M_co]):
    def current(self, now: datetime) -> Self:
        return self.live().filter(models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=Value(now)))
