"""The import ledger, so that nothing is stored twice."""

from django.db import models

from conversations.querysets import TenantQuerySet


class ImportedRecord(models.Model):
    """A record of another system, and the row it became here. The key is an HMAC: no name can be guessed from it."""

    pk = models.CompositePrimaryKey("tenant_id", "key")
    key = models.BinaryField()
    tenant = models.ForeignKey("conversations.Tenant", models.DO_NOTHING, db_constraint=False, db_index=False)
    object_id = models.UUIDField()

    objects = TenantQuerySet.as_manager()
