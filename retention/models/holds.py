"""Legal holds: what must not be archived or destroyed, whatever its period."""

from django.db import models

from conversations.models.fields import TenantOwned


class LegalHold(TenantOwned):
    """Its conditions are joined by AND, its span is half open; without any it covers the tenant.

    `customer_id` and `session_id` are no foreign keys: the hold is evidence and outlives what it covered.
    """

    matter = models.CharField(max_length=300)
    reason = models.TextField()
    customer_id = models.UUIDField(null=True, blank=True)
    session_id = models.UUIDField(null=True, blank=True)
    start_time = models.DateTimeField(null=True, blank=True)
    end_time = models.DateTimeField(null=True, blank=True)
    placed_by = models.CharField(max_length=300)
    release_requested_by = models.CharField(max_length=300, null=True)
    release_requested_at = models.DateTimeField(null=True)
    release_reason = models.TextField(blank=True)
    released_by = models.CharField(max_length=300, null=True)
    released_at = models.DateTimeField(null=True)
    grant_reason = models.TextField(blank=True, default="", db_default="")
    grace_until = models.DateTimeField(null=True)  # until then it still covers

    class Meta:
        indexes = [models.Index(fields=["tenant", "grace_until"], name="hold_in_force")]
