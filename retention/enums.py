"""The named choices of retention."""

from django.db.models import TextChoices


class RecordClass(TextChoices):
    """The classes of records that periods apply to: messages, knowledge about people, evidence."""

    MESSAGES = "messages"
    SUMMARIES = "summaries"
    ARCHIVE = "archive"


class ArchiveMode(TextChoices):
    """What remains of a message after the message period."""

    SEALED = "sealed"  # the original
    SCRUBBED = "scrubbed"  # identifiers replaced
    NONE = "none"


class Verdict(TextChoices):
    """What the law says of a record. Beyond use: kept, but no agent sees it."""

    KEEP = "keep"
    KEEP_BEYOND_USE = "keep_beyond_use"
    ARCHIVE = "archive"
    DESTROY = "destroy"


class PolicyState(TextChoices):
    """Where a version of a policy stands at a moment; it changes by time alone, without any job."""

    PROPOSED = "proposed"  # waits for a second person
    COOLING = "cooling"  # approved, not yet in force
    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"  # replaced before it was ever in force


class RunState(TextChoices):
    """The state of a purge run. `STOPPED`: by the fuse, until a person confirms."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class CaseScope(TextChoices):
    """What an erasure covers, never wider."""

    CUSTOMER = "customer"
    SESSION = "session"
    MESSAGES = "messages"
    TENANT = "tenant"


class CaseState(TextChoices):
    """How far an erasure has come. `VERIFIED`: every store was asked and answered that nothing is left."""

    EXECUTING = "executing"
    DEFERRED = "deferred"
    MIRRORS_PENDING = "mirrors_pending"
    VERIFIED = "verified"


class ExportKind(TextChoices):
    CUSTOMER = "customer"
    EVIDENCE = "evidence"
    TENANT = "tenant"


class ExportState(TextChoices):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
