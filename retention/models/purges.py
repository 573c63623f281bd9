"""Purge runs, their batches, and id ranges that were dropped with a whole partition."""

from django.db import models

from conversations.models.fields import TenantOwned, reference
from retention.enums import RecordClass, RunState


class PurgeRun(TenantOwned):
    """One purge of one class. Its counts grow in the transaction of each batch, so that they are never ahead."""

    record_class = models.CharField(max_length=10, choices=RecordClass.choices)
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.RUNNING)
    cutoff = models.DateTimeField()  # what is at least as old as this was due
    policy_version = models.IntegerField()
    candidates = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    archived = models.BigIntegerField(default=0)
    destroyed = models.BigIntegerField(default=0)
    samples = models.JSONField(default=list)
    leaves = models.BigIntegerField(default=0)  # the Merkle tree over what went: its size,
    frontier = models.BinaryField(default=bytes)  # and its right edge, to which the next batch adds
    expected = models.BigIntegerField(default=0)  # how many the fuse expected to be due
    judged_at = models.DateTimeField()  # the server's clock when the law was first applied,
    boot_id = models.CharField(max_length=36, blank=True)  # and the monotonic clock at the same time
    uptime = models.FloatField(null=True)
    started_by = models.CharField(max_length=300)
    confirmed_by = models.CharField(max_length=300, null=True)
    confirmed_at = models.DateTimeField(null=True)
    confirm_reason = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)  # the kind of failure, never content

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "record_class"],
                condition=models.Q(state__in=[RunState.RUNNING, RunState.STOPPED]),
                name="purge_one_unfinished",
            )
        ]
        indexes = [models.Index(fields=["tenant", "record_class", "id"], name="purge_latest")]


class PurgeBatch(TenantOwned):
    """One transaction of a run. The root is over this batch's leaves alone."""

    run = reference("retention.PurgeRun", "batches")
    number = models.IntegerField()
    archived = models.IntegerField()
    destroyed = models.IntegerField()
    first_id = models.UUIDField()
    last_id = models.UUIDField()
    merkle_root = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "run", "number"], name="purge_batch_number")]


class PurgedRange(TenantOwned):
    """Ids of one tenant that went with a dropped partition: replaces as many row events."""

    run = reference("retention.PurgeRun")
    table = models.CharField(max_length=63)
    first_id = models.UUIDField()
    before_id = models.UUIDField()
    count = models.BigIntegerField()
    merkle_root = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["tenant", "first_id"], name="purged_range")]
