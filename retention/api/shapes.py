"""Bodies and answers of the compliance endpoints."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from conversations.exceptions import FieldError, Invalid
from conversations.inputs import Moment, ShortText
from retention.enums import ArchiveMode, PolicyState
from retention.periods import Period, PeriodError
from retention.policies import Policy

Reason = Annotated[str, Meta(min_length=1, max_length=2_000)]
PeriodText = Annotated[str, Meta(min_length=1, max_length=32)]
ModeName = Literal["sealed", "scrubbed", "none"]


class ReasonBody(Struct, forbid_unknown_fields=True):
    """The reason for an act that is recorded in the audit trail."""

    reason: Reason


class PolicyIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """A whole policy: a missing field means the default, not the value in force."""

    messages: PeriodText
    summaries: PeriodText
    archive: PeriodText
    archive_mode: ModeName
    legal_minimum: PeriodText = "P0D"
    legal_basis: Annotated[str, Meta(max_length=500)] | None = None
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"

    def policy(self, path: str = "") -> Policy:
        """The policy it describes; Invalid names every period that is none."""
        problems: list[FieldError] = []
        periods: dict[str, Period] = {}
        for name in ("messages", "summaries", "archive", "legal_minimum"):
            try:
                periods[name] = Period.parse(getattr(self, name))
            except PeriodError as error:
                problems.append(FieldError(f"{path}{name}", "invalid_period", str(error)))
        if problems:
            raise Invalid(problems)
        return Policy(
            messages=periods["messages"],
            summaries=periods["summaries"],
            archive=periods["archive"],
            legal_minimum=periods["legal_minimum"],
            archive_mode=ArchiveMode(self.archive_mode),
            legal_basis=self.legal_basis or "",
            zone=self.timezone,
        )


class ApprovalIn(Struct, forbid_unknown_fields=True):
    version: int


class PreviewIn(Struct, forbid_unknown_fields=True):
    policy: PolicyIn | None = None


class HoldIn(Struct, forbid_unknown_fields=True, kw_only=True):
    matter: Annotated[str, Meta(min_length=1, max_length=300)]
    reason: Reason
    customer_id: ShortText | None = None
    user_id: ShortText | None = None
    session_id: UUID | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None


class ArchiveSearchIn(Struct, forbid_unknown_fields=True, kw_only=True):
    query: Annotated[str, Meta(min_length=1, max_length=8_192)]
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class PolicyOut(Struct, kw_only=True):
    id: UUID
    object: Literal["retention_policy"] = "retention_policy"
    version: int
    status: PolicyState
    messages: str
    summaries: str
    archive: str
    archive_mode: ArchiveMode
    legal_minimum: str
    legal_basis: str
    timezone: str
    proposed_by: str | None
    approved_by: str | None
    takes_effect_at: datetime | None
    created_at: datetime
    pending: "PolicyOut | msgspec.UnsetType | None" = msgspec.UNSET


class DueOut(Struct):
    candidates: int
    held: int
    samples: list[UUID]


class PreviewOut(Struct):
    object: Literal["retention_preview"]
    classes: dict[str, DueOut]


class PurgeRunOut(Struct, kw_only=True):
    id: UUID
    object: Literal["purge_run"] = "purge_run"
    record_class: Literal["messages", "summaries", "archive"] = msgspec.field(name="class")
    state: Literal["running", "done", "stopped", "failed"]
    cutoff: datetime
    policy_version: int
    candidates: int
    held: int
    archived: int
    destroyed: int
    samples: list[str]
    merkle_root: str
    expected: int
    started_by: str
    confirmed_by: str | None
    finished_at: datetime | None
    error: str | None
    created_at: datetime


class HoldOut(Struct, kw_only=True):
    id: UUID
    object: Literal["legal_hold"] = "legal_hold"
    state: Literal["in_force", "release_requested", "released"]
    matter: str
    reason: str
    customer_id: str | None
    session_id: UUID | None
    start_time: datetime | None
    end_time: datetime | None
    placed_by: str
    release_requested_by: str | None
    released_by: str | None
    released_at: datetime | None
    grace_until: datetime | None
    created_at: datetime


class HeldMessageOut(Struct, kw_only=True):
    id: UUID
    object: Literal["held_message"] = "held_message"
    state: Literal["live", "beyond_use", "archived"]
    message_id: UUID
    session_id: UUID
    customer_id: str | None
    role: str
    position: int
    text: str
    created_at: datetime


class ArchiveRecordOut(Struct, kw_only=True):
    id: UUID
    object: Literal["archive_record"] = "archive_record"
    message_id: UUID
    session_id: UUID
    customer_id: str | None
    role: str
    position: int
    mode: ArchiveMode
    text: str
    created_at: datetime
    archived_at: datetime
    expires_at: datetime


class ArchiveHitOut(Struct, kw_only=True):
    object: Literal["hit"] = "hit"
    kind: Literal["archive_record"] = "archive_record"
    score: float
    archive_record: ArchiveRecordOut


class ArchiveHitsOut(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ArchiveHitOut]
    stores: list[str]
    degraded: list[str]
