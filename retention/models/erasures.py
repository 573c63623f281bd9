"""Erasure cases, followed until every store has answered that nothing is left."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from conversations.models.fields import TenantOwned, reference
from retention.enums import CaseScope, CaseState


class ErasureCase(TenantOwned):
    """One request. What it has to defer is re-encrypted under the case's own key (`KeyOwner.CASE`)."""

    scope = models.CharField(max_length=10, choices=CaseScope.choices)
    customer_id = models.UUIDField(null=True)
    session_id = models.UUIDField(null=True)
    message_ids = ArrayField(models.UUIDField(), default=list)
    subject = models.CharField(max_length=64)  # a keyed pseudonym
    reason = models.TextField()
    basis = models.CharField(max_length=500)
    opened_by = models.CharField(max_length=300)
    state = models.CharField(max_length=16, choices=CaseState.choices, default=CaseState.EXECUTING)
    deferrals = models.JSONField(default=list)  # as the API shows them
    residuals = models.JSONField(default=list)
    keys_destroyed = models.IntegerField(default=0)
    keys_destroyed_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField()
    next_at = models.DateTimeField()  # when it is looked at again
    attempts = models.IntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)
    verified_at = models.DateTimeField(null=True)
    receipt = models.BinaryField(null=True)  # the exact bytes that were signed

    class Meta:
        indexes = [
            models.Index(
                fields=["next_at"],
                condition=~models.Q(state=CaseState.VERIFIED),
                name="case_due",
            ),
            models.Index(fields=["tenant", "customer_id"], name="case_customer"),
            models.Index(fields=["tenant", "session_id"], name="case_session"),
        ]


class ErasureTask(TenantOwned):
    """What one store has been asked in a case, and what it answered."""

    case = reference("retention.ErasureCase", "tasks")
    store = models.CharField(max_length=40)
    found_before = models.BigIntegerField(default=0)
    found_after = models.BigIntegerField(null=True)  # null: not yet asked
    verified_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "case", "store"], name="task_store")]


class DeferredRecords(TenantOwned):
    """Records of one holding that a hold or a legal minimum keeps: moved out of it, beyond all use.

    Messages and archive records are deferred where they lie. `since` and `began` are what the law asks for.
    """

    case = reference("retention.ErasureCase", "deferred")
    customer_id = models.UUIDField()
    holding = models.CharField(max_length=40)
    records = models.IntegerField()
    since = models.DateTimeField()
    began = models.DateTimeField()
    sealed = models.BinaryField()  # JSON Lines, compressed, sealed under the key of the case

    class Meta:
        verbose_name_plural = "deferred records"
        constraints = [models.UniqueConstraint(fields=["tenant", "case", "holding"], name="deferred_holding")]


class TenantRemoval(TenantOwned):
    """The removal of a tenant. One person requests it, another agrees; then everything is erased, case by case."""

    reason = models.TextField()
    basis = models.CharField(max_length=500)
    requested_by = models.CharField(max_length=300)
    approved_by = models.CharField(max_length=300, null=True)
    approved_at = models.DateTimeField(null=True)
    case_id = models.UUIDField(null=True)  # of the tenant as a whole, which sums up the others

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="removal_once")]
