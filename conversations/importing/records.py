"""The records that every format is read into, each with its place in the source."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from conversations.exceptions import Invalid
from conversations.importing.lines import CustomerLine, MemoryLine, PortraitLine, SummaryLine
from conversations.inputs import JSONObject, MessageIn, SessionIn


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in the source: the file's name and the number of the line, from 1 (SQLite: of the row)."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that was refused; nothing of it is stored."""

    origin: Origin
    code: str
    detail: str

    @classmethod
    def of(cls, origin: Origin, problem: Invalid) -> "LineError":
        """All errors of the line as one, with the code of the first."""
        if not problem.errors:
            return cls(origin, "invalid", problem.detail)
        details = (
            f"{error.field}: {error.detail}" if error.field else error.detail for error in problem.errors
        )
        return cls(origin, problem.errors[0].code, " ".join(details))


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """The status and outcome of a session when it was exported."""

    status: str
    outcome: JSONObject | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportedSession:
    """A session. `key` is the same whenever it is read again; `source_id` is its id in the source."""

    origin: Origin
    key: bytes
    source_id: str | None
    given: SessionIn
    end: SessionEnd | None = None


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """A message. `session` names the `source_id` of an earlier record, else a session's external id."""

    origin: Origin
    key: bytes
    source_id: str | None
    session: str
    customer: str | None
    given: MessageIn


@dataclass(frozen=True, slots=True)
class ImportedMemory:
    origin: Origin
    key: bytes
    source_id: str | None
    given: MemoryLine


@dataclass(frozen=True, slots=True)
class ImportedCustomer:
    origin: Origin
    key: bytes
    given: CustomerLine


@dataclass(frozen=True, slots=True)
class ImportedPortrait:
    """A portrait; its evidence is named by the `source_id`s of earlier messages."""

    origin: Origin
    key: bytes
    given: PortraitLine


@dataclass(frozen=True, slots=True)
class ImportedPreferences:
    origin: Origin
    key: bytes
    customer: str
    preferences: dict[str, Any]
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportedSummary:
    """A customer's counts beyond those of the imported messages."""

    origin: Origin
    key: bytes
    given: SummaryLine


Record: TypeAlias = (
    ImportedSession
    | ImportedMessage
    | ImportedMemory
    | ImportedCustomer
    | ImportedPortrait
    | ImportedPreferences
    | ImportedSummary
)
