"""Where the audit trail has been sealed."""

from django.db import models

from conversations import triggers
from conversations.models.fields import TenantOwned


class AuditCheckpoint(TenantOwned):
    """The signed root of a tenant's tree at one size, and the edge from which it grows on."""

    tree_size = models.BigIntegerField()
    root_hash = models.BinaryField()
    frontier = models.BinaryField()
    signed = models.TextField()  # the signed note (C2SP tlog-checkpoint)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "tree_size"], name="checkpoint_size")]
        triggers = triggers.append_only("audit_checkpoint")
