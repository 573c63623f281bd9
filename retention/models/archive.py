"""What remains of a message after the message period."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from conversations import triggers
from conversations.enums import Entity
from conversations.models.fields import RowVersionField, TenantOwned
from retention.enums import ArchiveMode
from retention.querysets import ArchiveQuerySet


class ArchiveRecord(TenantOwned):
    """A message as evidence: its own id and time, partitioned by month of the id. No agent ever sees it."""

    session_id = models.UUIDField()
    customer_id = models.UUIDField(null=True)
    role = models.CharField(max_length=10)
    position = models.IntegerField()
    mode = models.CharField(max_length=10, choices=ArchiveMode.choices)
    sealed = models.BinaryField()  # the whole message: msgpack, zstd, then sealed under the customer's key
    scrubbed = models.TextField()
    identifiers = ArrayField(models.BinaryField(), default=list)
    digest = (
        models.BinaryField()
    )  # keyed, over the plain bytes: it outlives a change of keys and cannot be guessed
    archived_at = models.DateTimeField()
    hidden_at = models.DateTimeField(null=True)  # an erasure waits for a hold or a legal minimum
    document = SearchVectorField()
    row_version = RowVersionField()

    objects: ClassVar[ArchiveQuerySet["ArchiveRecord"]] = ArchiveQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "session_id", "id"], name="archive_session"),
            models.Index(fields=["tenant", "customer_id", "id"], name="archive_customer"),
            GinIndex(fields=["identifiers"], condition=~models.Q(identifiers=[]), name="archive_identifiers"),
            GinIndex(fields=["document"], name="archive_document"),
        ]
        triggers = [
            triggers.new_version("archive_version", ["customer_id", "scrubbed", "hidden_at"]),
            triggers.enqueue_inserted("archive_inserted", Entity.ARCHIVE),
            triggers.enqueue_updated("archive_updated", Entity.ARCHIVE),
            triggers.enqueue_deleted("archive_deleted", Entity.ARCHIVE),
        ]
