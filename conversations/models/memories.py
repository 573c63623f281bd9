"""Memories, and the records about requests: context receipts, idempotent answers, tombstones."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from conversations import triggers
from conversations.enums import Entity, MemoryKind
from conversations.models.fields import RowVersionField, TenantOwned, reference
from conversations.querysets import MemoryQuerySet


class Memory(TenantOwned):
    """A fact, note, material or runbook, of one customer or of the whole tenant."""

    customer = reference("conversations.Customer", null=True)
    kind = models.CharField(max_length=10, choices=MemoryKind.choices, default=MemoryKind.FACT)
    external_id = models.CharField(max_length=255, null=True, blank=True)
    sealed = models.BinaryField()
    scrubbed = models.TextField()
    identifiers = ArrayField(models.BinaryField(), default=list)
    metadata = models.JSONField(default=dict)
    source_message_ids = ArrayField(models.UUIDField(), default=list)
    embedding = models.BinaryField(
        null=True
    )  # the caller's own, float32 little-endian; else computed by the worker
    profile = models.CharField(max_length=100, null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    hidden_at = models.DateTimeField(null=True, blank=True)
    features = models.BinaryField()
    document = SearchVectorField()
    row_version = RowVersionField()

    objects = MemoryQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name_plural = "memories"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "external_id"],
                condition=models.Q(hidden_at__isnull=True),
                name="memory_external_id",
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "customer", "id"], name="memory_customer"),
            models.Index(fields=["tenant", "expires_at"], name="memory_expires"),
            GinIndex(fields=["document"], name="memory_document"),
            GinIndex(fields=["identifiers"], name="memory_identifiers"),
            GinIndex(fields=["metadata"], opclasses=["jsonb_path_ops"], name="memory_metadata"),
        ]
        triggers = [
            triggers.new_version(
                "memory_version",
                [
                    "customer_id",
                    "kind",
                    "scrubbed",
                    "embedding",
                    "profile",
                    "expires_at",
                    "metadata",
                    "hidden_at",
                ],
            ),
            triggers.enqueue_inserted("memory_inserted", Entity.MEMORY),
            triggers.enqueue_updated("memory_updated", Entity.MEMORY),
            triggers.enqueue_deleted("memory_deleted", Entity.MEMORY),
        ]


class ContextReceipt(TenantOwned):
    """What an agent was shown for one question: ids and scores, never text."""

    session = reference("conversations.Session")
    customer_id = models.UUIDField(null=True)
    query_hash = models.BinaryField(null=True)  # keyed, so that words cannot be guessed from it
    items = models.JSONField(default=list)
    stores = ArrayField(models.CharField(max_length=20), default=list)
    degraded = ArrayField(models.CharField(max_length=20), default=list)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "session"], name="receipt_session"),
            models.Index(fields=["tenant", "customer_id"], name="receipt_customer"),
        ]


class IdempotencyRecord(TenantOwned):
    """The first answer to an `Idempotency-Key`, kept for 24 hours, sealed under the key of what it shows."""

    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField()
    status = models.SmallIntegerField()
    sealed_answer = models.BinaryField()
    subject_key_id = models.UUIDField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="idempotency_key")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]


class Tombstone(TenantOwned):
    """Id and version of what is gone, no content: late arrivals and repairs cannot bring it back, readers get 410."""

    kind = models.CharField(max_length=10)  # session, message, memory, customer
    object_id = models.UUIDField()
    session_id = models.UUIDField(null=True)
    digest = models.BinaryField(null=True)  # keyed hash of the external id
    row_version = RowVersionField()
    case_id = models.UUIDField(null=True)
    reason = models.CharField(max_length=10)  # deleted, erased, expired

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "object_id"], name="tombstone_object"),
            models.Index(fields=["tenant", "session_id", "row_version"], name="tombstone_session"),
            models.Index(fields=["tenant", "digest"], name="tombstone_digest"),
        ]
