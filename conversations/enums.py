"""The named choices of the core."""

from django.db.models import IntegerChoices, TextChoices


class Role(TextChoices):
    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class SessionStatus(TextChoices):
    OPEN = "open"
    CLOSED = "closed"


class MemoryKind(TextChoices):
    FACT = "fact"
    NOTE = "note"
    MATERIAL = "material"
    RUNBOOK = "runbook"


class Scope(TextChoices):
    READ = "read"
    WRITE = "write"
    IMPORT = "import"
    COMPLIANCE = "compliance"


class KeyOwner(TextChoices):
    """Whose data a key seals; `CASE` keys hold what an erasure had to defer.

    `TENANT` wraps the others. `INDEX` makes a tenant's keyed hashes and is never rotated: they could not be remade.
    """

    TENANT = "tenant"
    INDEX = "index"
    CUSTOMER = "customer"
    SESSION = "session"
    CASE = "case"


class Sink(IntegerChoices):
    """A place that follows the record. `LEXICAL` is PostgreSQL's own search tables and is always on."""

    LEXICAL = 1
    ELASTICSEARCH = 2
    MILVUS = 3


class Entity(IntegerChoices):
    """The kind of row that a mirror event is about. Projections of other apps register theirs from 16 on."""

    MESSAGE = 1
    SESSION = 2
    MEMORY = 3
    PURGED_RANGE = 4
    CHAPTERS = 5  # of the session with that id
    ARCHIVE = 16


class Reason(IntegerChoices):
    """Why a mirror event was written; what people wait for is retried sooner."""

    CHANGE = 1
    PURGE = 2
    ERASURE = 3
    REBUILD = 4
    REPAIR = 5


class GateState(TextChoices):
    """Whether the installation serves anybody, and how far a restore has come."""

    OPEN = "open"
    LOADING = "loading"  # nothing is replaced yet
    REPLAYING = "replaying"  # replaced; whoever was erased since the backup is being erased again


class Outcome(TextChoices):
    OK = "ok"
    DENIED = "denied"
    FAILED = "failed"
