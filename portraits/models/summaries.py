"""Counters per customer: folded totals, and the deltas that are still to be folded."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F

from conversations import ids
from conversations.models.fields import TenantOwned, reference
from conversations.querysets import TenantQuerySet
from portraits.enums import Effect


class Counters(models.Model):
    """What is counted of a customer."""

    session_count = models.IntegerField(default=0)
    message_count = models.IntegerField(default=0)
    intents = models.JSONField(default=dict)  # per message
    languages = models.JSONField(default=dict)  # these three per session
    channels = models.JSONField(default=dict)
    outlets = models.JSONField(default=dict)
    first_interaction_at = models.DateTimeField(null=True)
    last_interaction_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class InteractionSummary(Counters, TenantOwned):
    """The folded totals, baseline included. Has its customer's id, for there is one of each.

    `purged_*` is the part that the retention policy has taken out of the record: totals = record + purged + baseline.
    """

    customer = reference("conversations.Customer")
    baseline = models.JSONField(null=True)  # counters from another system, on top of which ours count
    purged_sessions = models.IntegerField(default=0)
    purged_messages = models.IntegerField(default=0)
    purged_intents = models.JSONField(default=dict)
    purged_languages = models.JSONField(default=dict)
    purged_channels = models.JSONField(default=dict)
    purged_outlets = models.JSONField(default=dict)
    purged_first_at = models.DateTimeField(null=True)
    purged_last_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(default=ids.now)

    class Meta:
        verbose_name_plural = "interaction summaries"
        constraints = [models.UniqueConstraint(fields=["tenant", "customer"], name="summary_customer")]


class SummaryDelta(models.Model):
    """What one statement changed in one customer's counters. Written by triggers, read with every summary, folded soon.

    The names are those of the single rows, with repetitions; all of them count by `effect`.
    """

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("conversations.Tenant", models.DO_NOTHING, db_constraint=False, db_index=False)
    customer_id = models.UUIDField()
    effect = models.SmallIntegerField(choices=Effect.choices)
    sessions = models.IntegerField(db_default=0)
    messages = models.IntegerField(db_default=0)
    intents = ArrayField(models.TextField(), db_default=[])
    languages = ArrayField(models.TextField(), db_default=[])
    channels = ArrayField(models.TextField(), db_default=[])
    outlets = ArrayField(models.TextField(), db_default=[])
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "customer_id"], name="delta_customer")]


class CurrentSummaryQuerySet(TenantQuerySet["CurrentSummary"]):
    def ordered_as_customers(self) -> Self:
        """With the id and the time of the customer, whose counters they are."""
        return self.annotate(id=F("customer_id"), created_at=F("customer__created_at"))


class CurrentSummary(Counters):
    """A view: totals with the open deltas added, in the one snapshot that a statement has. Never stale."""

    customer = models.OneToOneField(
        "conversations.Customer",
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="+",
    )
    tenant = models.ForeignKey("conversations.Tenant", models.DO_NOTHING, db_constraint=False)

    objects = CurrentSummaryQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "portraits_currentsummary"
        default_permissions = ()
