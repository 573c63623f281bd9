"""The outbox: which rows may be stale in which store."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from conversations.enums import Entity, Reason, Sink


class MirrorSink(models.Model):
    """A store that is switched on. Events are written only for these; an unreachable store is not off."""

    id = models.SmallIntegerField(primary_key=True, choices=Sink.choices)
    entities = ArrayField(models.SmallIntegerField())  # what it shows
    enabled = models.BooleanField(default=False)
    enabled_at = models.DateTimeField(null=True)
    schema = models.CharField(max_length=200, default="")  # what its index or collection was made from

    def __str__(self) -> str:
        return Sink(self.id).label


class MirrorEvent(models.Model):
    """ "This id may be stale in that sink". No payload: the drain looks at the row as it is then."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    sink = models.SmallIntegerField(choices=Sink.choices)
    entity = models.SmallIntegerField(choices=Entity.choices)
    entity_id = models.UUIDField()
    entity_version = models.BigIntegerField()
    reason = models.SmallIntegerField(choices=Reason.choices, db_default=Reason.CHANGE)
    created_at = models.DateTimeField(db_default=Now())
    next_at = models.DateTimeField(db_default=Now())
    attempts = models.SmallIntegerField(db_default=0)
    lease = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, null=True)
    # By the store: due as soon as it takes something again.
    unanswered = models.BooleanField(db_default=False)
    parked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # The claim: due events of a sink, oldest first.
            models.Index(
                fields=["sink", "next_at", "id"],
                condition=models.Q(parked_at__isnull=True),
                name="mirror_due",
            ),
            models.Index(fields=["tenant_id", "entity_id", "sink"], name="mirror_entity"),
        ]

    def __str__(self) -> str:
        return str(self.pk)
