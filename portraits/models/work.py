"""Pending work on portraits, recorded in the transaction of the change that causes it, so that none is lost."""

from django.db import models
from django.db.models.functions import Now

from conversations.querysets import TenantQuerySet
from portraits.enums import Work


class RefreshMark(models.Model):
    """A customer whose portrait may be behind the record. Taken under a lease, removed if no newer mark came."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("conversations.Tenant", models.DO_NOTHING, db_constraint=False, db_index=False)
    customer_id = models.UUIDField()
    work = models.CharField(max_length=10, choices=Work.choices)
    marks = models.IntegerField(db_default=1)  # how often it was asked for
    next_at = models.DateTimeField(db_default=Now())
    lease = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    attempts = models.SmallIntegerField(db_default=0)
    last_error = models.CharField(max_length=100, db_default="")  # the kind of failure, never content

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "customer_id", "work"], name="mark_work")]
        indexes = [models.Index(fields=["work", "next_at"], name="mark_due")]
