"""The audit trail. Append-only: grants and triggers refuse every other change."""

from django.db import models

from conversations import triggers
from conversations.enums import Outcome
from conversations.models.fields import TenantOwned


class AuditEvent(TenantOwned):
    """One act, written in the transaction of the act itself, without content. Partitioned by month of its id."""

    actor = models.CharField(max_length=300)
    actor_kind = models.CharField(max_length=10)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64, null=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.OK)
    request_id = models.CharField(max_length=128, null=True)
    details = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "object_id"], name="audit_object"),
            models.Index(fields=["tenant", "actor", "id"], name="audit_actor"),
        ]
        triggers = triggers.append_only("audit_event")


class AuditLeaf(TenantOwned):
    """The place of an event in its tenant's Merkle tree; stays when the month of the event is dropped."""

    sequence = models.BigIntegerField()
    event_id = models.UUIDField()
    leaf_hash = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "sequence"], name="leaf_sequence"),
            models.UniqueConstraint(fields=["tenant", "event_id"], name="leaf_event"),
        ]
        triggers = triggers.append_only("audit_leaf")
