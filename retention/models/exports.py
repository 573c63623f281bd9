"""Requested exports: files with personal data, which therefore expire."""

from django.db import models

from conversations.models.fields import TenantOwned
from retention.enums import ExportKind, ExportState


class ExportJob(TenantOwned):
    """The file lies below `DATA_DIR`, sealed under the key of the person it is about; it goes at `expires_at`."""

    kind = models.CharField(max_length=10, choices=ExportKind.choices)
    customer_id = models.UUIDField(null=True)
    session_id = models.UUIDField(null=True)
    hold_id = models.UUIDField(null=True)
    requested_by = models.CharField(max_length=300)
    reason = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=ExportState.choices, default=ExportState.PENDING)
    file = models.CharField(max_length=200, blank=True)  # its name, no path
    manifest = models.JSONField(default=dict)
    error = models.CharField(max_length=300, blank=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], name="export_expires"),
            models.Index(fields=["tenant", "customer_id"], name="export_customer"),
        ]
