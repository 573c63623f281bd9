"""What is known about a customer, on whose word, and its earlier versions."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from conversations.models.fields import TenantOwned, reference
from portraits.enums import Provenance


class Portrait(TenantOwned):
    """One per customer, made by the first that is known; its traits lie in `Trait`.

    `evidence` names every message that anything in it rests on: what is read of a portrait is judged by whether
    these may still be seen.
    """

    customer = reference("conversations.Customer")
    version = models.IntegerField(default=0)
    preferences = models.JSONField(default=dict)  # key -> {value, created_at, updated_at}
    preferences_created_at = models.DateTimeField(null=True)
    preferences_updated_at = models.DateTimeField(null=True)
    purchase_history = models.JSONField(default=dict)  # as somebody asserted it
    purchases = models.JSONField(default=list)  # what conversations told: [{value, at, message_id}]
    sentiments = models.JSONField(default=list)  # [{score, at, message_id}], oldest first
    sentiment_trend = models.JSONField(null=True)  # null: follows from the sentiments
    sealed_summary = models.BinaryField(null=True)  # scrubbed text, sealed under the customer's key
    summary_kind = models.CharField(max_length=10, choices=Provenance.choices, null=True)
    summary_source_ids = ArrayField(models.UUIDField(), default=list)
    evidence = ArrayField(models.UUIDField(), default=list)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "customer"], name="portrait_customer")]


class PortraitVersion(TenantOwned):
    """The portrait after a change. What has lost its evidence since is removed here too."""

    customer = reference("conversations.Customer")
    version = models.IntegerField()
    snapshot = models.JSONField()  # `portraits.state.State`, without the summary's text
    sealed_summary = models.BinaryField(null=True)
    evidence = ArrayField(models.UUIDField(), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "customer", "version"], name="portrait_version")
        ]


class Trait(TenantOwned):
    """One thing that is said of a customer; one current trait a name."""

    customer = reference("conversations.Customer")
    name = models.CharField(max_length=200)
    value = models.JSONField(null=True)  # null: somebody denied it, and inference does not say it again
    confidence = models.FloatField()
    kind = models.CharField(max_length=10, choices=Provenance.choices)
    source_message_ids = ArrayField(models.UUIDField(), default=list)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    by_model = models.BooleanField(default=False)  # a language model read it; rules and people come first

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "customer", "name"], name="trait_name")]
