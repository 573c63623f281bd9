import uuid

from django.db import models


class BareMessage(models.Model):
    """The message table's columns without sealing, scrubbing, tenants' policies, triggers or partitions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.UUIDField(default=uuid.uuid4, editable=False)
    session = models.UUIDField()
    role = models.CharField(max_length=10)
    position = models.IntegerField(default=0)
    external_id = models.CharField(max_length=255, null=True)
    name = models.CharField(max_length=200, null=True)
    content = models.TextField()
    language = models.CharField(max_length=35, null=True)
    intent = models.CharField(max_length=200, null=True)
    intent_confidence = models.FloatField(null=True)
    turn_id = models.CharField(max_length=255, null=True)
    model = models.CharField(max_length=200, null=True)
    usage = models.JSONField(null=True)
    agent_responses = models.JSONField(null=True)
    metadata = models.JSONField(default=dict)
    occurred_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "stock"
        indexes = [
            models.Index(fields=["tenant", "session", "position"]),
            models.Index(fields=["tenant", "session", "external_id"]),
            models.Index(fields=["tenant", "id"]),
        ]
