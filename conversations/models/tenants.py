"""Tenants, their API keys and staff, and the encryption keys of their data."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models

from conversations import ids
from conversations.enums import KeyOwner
from conversations.models.fields import TenantOwned
from conversations.querysets import TenantQuerySet


class Tenant(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    name = models.CharField(max_length=200, unique=True)
    created_at = models.DateTimeField(default=ids.now, editable=False)
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name


class Staff(AbstractUser):
    """A person of the back office. Without a tenant: platform staff, who choose one explicitly and leave a trace."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey(
        Tenant, models.PROTECT, null=True, blank=True, db_constraint=False, related_name="+"
    )

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"


class ApiKey(TenantOwned):
    """A machine's credential, issued to a person. The secret itself is shown once and never stored."""

    lookup = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.BinaryField(editable=False)  # SHA-256 of a 256-bit secret: guessing it needs no slow hash
    person = models.CharField(max_length=200)
    scopes = ArrayField(models.CharField(max_length=20))
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"


class DataKey(TenantOwned):
    """A wrapped AES-256 key. Destroying a customer's keys makes every sealed copy unreadable, backups included."""

    owner = models.CharField(max_length=10, choices=KeyOwner.choices)
    owner_id = models.UUIDField()
    customer_id = models.UUIDField(null=True, blank=True)  # of a session's key, once the customer is known
    wrapped = models.BinaryField(null=True)  # null once destroyed
    wrapped_by = models.CharField(max_length=40)  # master key id for tenants, tenant key id for the rest
    retired_at = models.DateTimeField(null=True, blank=True)  # still opens, no longer seals
    destroyed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[TenantQuerySet["DataKey"]] = TenantQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "owner", "owner_id"],
                condition=models.Q(retired_at__isnull=True, destroyed_at__isnull=True),
                name="datakey_one_current",
            )
        ]
        indexes = [models.Index(fields=["tenant", "customer_id"], name="datakey_customer")]
