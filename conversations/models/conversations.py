"""The conversations themselves: customers, sessions, messages, and the search tables made of them."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from conversations import ids, triggers
from conversations.enums import Entity, Role, SessionStatus
from conversations.models.fields import RowVersionField, TenantOwned, hour_of, reference
from conversations.querysets import LiveQuerySet, MessageQuerySet, TenantQuerySet


class Customer(TenantOwned):
    """The person spoken with. After an erasure the row stays, without a name, until nothing refers to it."""

    external_id = models.CharField(max_length=255, null=True)  # null: erased
    language = models.CharField(max_length=35, null=True, blank=True)
    metadata = models.JSONField(default=dict)
    identifiers = ArrayField(
        models.BinaryField(), default=list
    )  # keyed hashes, so that a person can be found
    updated_at = models.DateTimeField(auto_now=True)
    last_interaction_at = models.DateTimeField(null=True, blank=True)
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "external_id"], name="customer_external_id")]
        indexes = [
            models.Index(fields=["tenant", "last_interaction_at"], name="customer_idle"),
            GinIndex(fields=["identifiers"], name="customer_identifiers"),
        ]


class Session(TenantOwned):
    """A conversation. Its counters are bumped under the row lock that every append takes."""

    customer = reference("conversations.Customer", null=True)
    external_id = models.CharField(max_length=255, null=True, blank=True)
    channel = models.CharField(max_length=64, null=True, blank=True)
    language = models.CharField(max_length=35, null=True, blank=True)
    outlet_id = models.CharField(max_length=128, null=True, blank=True)
    title = models.TextField(null=True, blank=True)  # stored scrubbed
    status = models.CharField(max_length=10, choices=SessionStatus.choices, default=SessionStatus.OPEN)
    outcome = models.JSONField(null=True, blank=True)
    intents = models.JSONField(default=dict)
    intent_counts = models.JSONField(
        default=dict, db_default={}, editable=False
    )  # of its messages; outlives them
    document = SearchVectorField(null=True, editable=False)  # what its outcome is found by
    context = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    message_count = models.IntegerField(default=0)  # not deleted, erased or purged
    last_position = models.IntegerField(default=0)  # ever given
    last_message_at = models.DateTimeField(null=True, blank=True)
    # Indexed instead of `last_message_at`: further appends within the hour write no index of this table (HOT updates).
    last_message_hour = models.GeneratedField(
        expression=hour_of(models.F("last_message_at")),
        output_field=models.DateTimeField(null=True),
        db_persist=True,
    )
    # The span of its messages' `created_at`, so that a look at one session prunes the partitions.
    earliest_at = models.DateTimeField(default=ids.now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    hidden_at = models.DateTimeField(null=True, blank=True)  # deleted or erased: no agent sees it
    cleared_at = models.DateTimeField(null=True, blank=True)  # its messages are gone: only statistics remain
    epoch = models.IntegerField(default=1)  # a cached window of an older epoch is stale
    row_version = RowVersionField()

    objects = LiveQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "external_id"],
                condition=models.Q(hidden_at__isnull=True),
                name="session_external_id",
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "customer", "id"], name="session_customer"),
            # One index for both directions: null is less than every time (`filters.ordering`).
            models.Index(
                "tenant",
                models.F("last_message_hour").desc(nulls_last=True),
                # Partial, so that the planner never uses it for look-ups by id.
                condition=models.Q(hidden_at__isnull=True),
                name="session_last_message",
            ),
            # Partial: open sessions, whose rows change with every append, are not in it.
            GinIndex(
                fields=["document"], condition=models.Q(document__isnull=False), name="session_document"
            ),
            GinIndex(fields=["metadata"], opclasses=["jsonb_path_ops"], name="session_metadata"),
        ]
        triggers = [
            triggers.new_version(
                "session_version",
                [
                    "customer_id",
                    "channel",
                    "language",
                    "outlet_id",
                    "title",
                    "status",
                    "outcome",
                    "intents",
                    "hidden_at",
                ],
                counted=["intent_counts"],
            ),
            triggers.enqueue_inserted("session_inserted", Entity.SESSION),
            triggers.enqueue_row_updated("session_updated", Entity.SESSION),
            triggers.enqueue_deleted("session_deleted", Entity.SESSION),
        ]


class Message(TenantOwned):
    """One utterance, partitioned by week of its id. Content, role and position never change.

    `(session, position)` and `(session, external_id)` are unique under the session's row lock.
    """

    session = reference("conversations.Session")
    customer = reference("conversations.Customer", null=True)
    role = models.CharField(max_length=10, choices=Role.choices)
    position = models.IntegerField()
    external_id = models.CharField(max_length=255, null=True)
    name = models.CharField(max_length=200, null=True)  # who spoke
    sealed = models.BinaryField()  # msgpack [content, attachments], sealed under the customer's key
    scrubbed = models.TextField()
    scrubbed_attachments = models.TextField(default="")
    pii = models.JSONField(default=list)
    identifiers = ArrayField(models.BinaryField(), default=list)
    language = models.CharField(max_length=35, null=True)
    intent = models.CharField(max_length=200, null=True)
    intent_confidence = models.FloatField(null=True)
    turn_id = models.CharField(max_length=255, null=True)
    model = models.CharField(max_length=200, null=True)
    usage = models.JSONField(null=True)
    agent_responses = models.JSONField(null=True)
    metadata = models.JSONField(default=dict)
    occurred_at = models.DateTimeField(null=True)
    hidden_at = models.DateTimeField(null=True)
    row_version = RowVersionField()

    objects = MessageQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "session", "position"], name="message_position"),
            models.Index(
                fields=["tenant", "session", "external_id"],
                condition=models.Q(external_id__isnull=False),
                name="message_external_id",
            ),
            models.Index(fields=["tenant", "customer", "id"], name="message_customer"),
            GinIndex(
                fields=["identifiers"],
                condition=~models.Q(identifiers=[]),
                name="message_identifiers",
            ),
            GinIndex(
                fields=["metadata"],
                opclasses=["jsonb_path_ops"],
                condition=~models.Q(metadata={}),
                name="message_metadata",
            ),
        ]
        triggers = [
            triggers.new_version(
                "message_version",
                [
                    "customer_id",
                    "scrubbed",
                    "scrubbed_attachments",
                    "intent",
                    "metadata",
                    "occurred_at",
                    "hidden_at",
                ],
            ),
            triggers.enqueue_inserted("message_inserted", Entity.MESSAGE),
            triggers.enqueue_updated("message_updated", Entity.MESSAGE, successors=True),
            triggers.recount_intents("message_intents"),
            triggers.enqueue_deleted("message_deleted", Entity.MESSAGE, successors=True),
        ]


class MessageIndex(models.Model):
    """What lexical search and ranking read of a message: made by the mirror's worker from scrubbed text only."""

    message_id = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey("conversations.Tenant", models.DO_NOTHING, db_constraint=False, db_index=False)
    session_id = models.UUIDField()
    customer_id = models.UUIDField(null=True)
    role = models.CharField(max_length=10)
    name = models.CharField(max_length=200, null=True)
    language = models.CharField(max_length=35, null=True)
    position = models.IntegerField()
    created_at = models.DateTimeField()
    occurred_at = models.DateTimeField(null=True)
    row_version = models.BigIntegerField()
    features = models.BinaryField()
    context = SearchVectorField()  # the turn and its two predecessors in the session

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "customer_id", "message_id"], name="messageindex_customer"),
            models.Index(fields=["tenant", "session_id", "position"], name="messageindex_session"),
            GinIndex(fields=["context"], name="messageindex_context"),
        ]


class ChapterIndex(TenantOwned):
    """Fifty messages of a session as one search document, so that an append rewrites only the last chapter."""

    session_id = models.UUIDField()
    customer_id = models.UUIDField(null=True)
    chapter = models.IntegerField()
    started_at = models.DateTimeField()
    row_version = models.BigIntegerField()
    document = SearchVectorField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "session_id", "chapter"], name="chapter_number")
        ]
        indexes = [
            models.Index(fields=["tenant", "customer_id"], name="chapter_customer"),
            GinIndex(fields=["document"], name="chapter_document"),
        ]
