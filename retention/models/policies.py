"""The retention policies of tenants, in all versions."""

from django.db import models

from conversations.models.fields import TenantOwned
from retention.enums import ArchiveMode


class RetentionPolicy(TenantOwned):
    """One version, kept for ever. In force is the newest whose `takes_effect_at` has come: no job switches it."""

    version = models.IntegerField()
    messages = models.CharField(max_length=32)  # periods in ISO 8601, as they were written
    summaries = models.CharField(max_length=32)
    archive = models.CharField(max_length=32)
    archive_mode = models.CharField(max_length=10, choices=ArchiveMode.choices)
    legal_minimum = models.CharField(max_length=32)
    legal_basis = models.CharField(max_length=500, blank=True)
    zone = models.CharField(max_length=64)
    proposed_by = models.CharField(max_length=300)
    approved_by = models.CharField(max_length=300, null=True)
    approved_at = models.DateTimeField(null=True)
    takes_effect_at = models.DateTimeField(null=True)  # null: proposed, not yet approved
    withdrawn_at = models.DateTimeField(null=True)  # replaced by another version before it took effect

    class Meta:
        verbose_name_plural = "retention policies"
        constraints = [models.UniqueConstraint(fields=["tenant", "version"], name="policy_version")]
