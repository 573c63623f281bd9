"""Fields that every tenant-owned row has."""

from typing import Any

from django.db import models
from django.db.models.expressions import Func

from conversations import ids
from conversations.querysets import TenantQuerySet


class RowVersionField(models.BigIntegerField):  # type: ignore[type-arg]
    """The number of the row's last change, from one global sequence: it orders writes to the mirrors.

    A trigger draws a new number whenever something a mirror shows has changed. Never a time, never `version + 1`:
    a row that was deleted and stored again must stand above its own tombstone.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.update(editable=False, db_default=Func(models.Value("row_version"), function="nextval"))
        super().__init__(**kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["editable"], kwargs["db_default"]
        return name, path, args, kwargs


class TenantOwned(models.Model):
    """A row of one tenant; its migration names it in `SecureTenantTable`, or the catalogue test fails."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey(
        "conversations.Tenant", models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    created_at = models.DateTimeField(default=ids.now, editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        # Ids only: Django's admin copies this into its own log.
        return str(self.pk)


def reference(to: str, related_name: str = "+", *, null: bool = False) -> Any:
    """A foreign key whose constraint is `(tenant_id, x_id)`, added by migration SQL: Django knows no composite one."""
    return models.ForeignKey(
        to,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name=related_name,
        null=null,
        blank=null,
    )


def hour_of(time: Any) -> Func:
    """The full hour (UTC) of a moment, as PostgreSQL makes it."""
    return Func(time, template="date_bin('1 hour', %(expressions)s, 'epoch')")
