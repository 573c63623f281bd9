"""The law of retention: what happens to a record. Pure, without clock and database, so that every case can be tested.

Archiving is not destruction. In this order:

1. an active hold: keep it where it is;
2. past the message period, and the tenant keeps an archive: archive it, unless an erasure would destroy the
   archive record at once;
3. before the legal minimum: keep;
4. an erasure: destroy;
5. past the maximum: destroy.

What 1 and 3 keep past its period, or in spite of an erasure, is beyond use: evidence, seen by no agent.
`verdict_sql` is the same law for whole tables.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from retention.enums import ArchiveMode, RecordClass, Verdict
from retention.periods import Period, expires_at, expires_sql
from retention.policies import DEFAULT_POLICY, Policy, check_policy, shortens

__all__ = [
    "DEFAULT_POLICY",
    "Hold",
    "Period",
    "Policy",
    "Record",
    "Verdict",
    "check_policy",
    "decide",
    "expires_at",
    "expires_sql",
    "held_sql",
    "parameters",
    "shortens",
    "verdict_sql",
]


@dataclass(frozen=True, slots=True)
class Record:
    """What the law has to know of a record.

    `since` starts its clock: when a message was made (an archive record carries its message's time), or the
    last interaction that a summary or a session speaks of; `began` is then the first.
    """

    record_class: RecordClass
    since: datetime
    began: datetime | None = None
    customer_id: UUID | None = None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """What a legal hold covers: its conditions are joined by AND, and its period is half open."""

    customer_id: UUID | None = None
    session_id: UUID | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    ends_at: datetime | None = None  # the end of the grace that follows a release

    def binds(self, record: Record, now: datetime) -> bool:
        """Whether it covers the record and is still in force."""
        return (
            (self.ends_at is None or now < self.ends_at)
            and (self.customer_id is None or self.customer_id == record.customer_id)
            and (self.session_id is None or self.session_id == record.session_id)
            and (self.start_time is None or record.since >= self.start_time)
            and (self.end_time is None or (record.began or record.since) < self.end_time)
        )


def decide(record: Record, policy: Policy, holds: Iterable[Hold], *, erasure: bool, now: datetime) -> Verdict:
    """What happens to the record at that moment; `erasure` when an erasure covers it."""
    expired = now >= policy.expires_at(record.record_class, record.since)
    minimum_ends_at = policy.minimum_ends_at(record.since)
    before_minimum = minimum_ends_at is not None and now < minimum_ends_at
    kept = Verdict.KEEP_BEYOND_USE if expired or erasure else Verdict.KEEP
    if any(hold.binds(record, now) for hold in holds):
        return kept
    if _leaves_for_archive(record, policy) and expired and (before_minimum or not erasure):
        return Verdict.ARCHIVE
    if before_minimum:
        return kept
    return Verdict.DESTROY if erasure or expired else Verdict.KEEP


def _leaves_for_archive(record: Record, policy: Policy) -> bool:
    return record.record_class is RecordClass.MESSAGES and policy.archive_mode is not ArchiveMode.NONE


def verdict_sql(since: str, *, held: str, erasure: str = "false") -> str:
    """The SQL twin of `decide` for rows of one class and one tenant: a text expression.

    `since` is the column that starts the clock, `held` and `erasure` are boolean SQL; the rest comes from
    `parameters`.
    """
    expired = f"(%(now)s >= {expires_sql(since)})"
    before_minimum = f"(%(has_minimum)s AND %(now)s < {expires_sql(since, period='%(minimum)s')})"
    kept = f"CASE WHEN {expired} OR {erasure} THEN '{Verdict.KEEP_BEYOND_USE}' ELSE '{Verdict.KEEP}' END"
    return (
        f"CASE WHEN {held} THEN {kept}"
        f" WHEN %(archives)s AND {expired} AND ({before_minimum} OR NOT {erasure}) THEN '{Verdict.ARCHIVE}'"
        f" WHEN {before_minimum} THEN {kept}"
        f" WHEN {erasure} OR {expired} THEN '{Verdict.DESTROY}'"
        f" ELSE '{Verdict.KEEP}' END"
    )


def held_sql(
    holds: str, *, since: str, began: str = "", customer_id: str = "NULL", session_id: str = "NULL"
) -> str:
    """The SQL twin of `Hold.binds` over a table or subquery of the tenant's holds: a boolean expression.

    The columns of `holds` are the fields of `Hold`; the rest is SQL of the row, NULL for what it lacks.
    """
    return (
        f"EXISTS (SELECT FROM {holds} h WHERE (h.ends_at IS NULL OR %(now)s < h.ends_at)"
        f" AND (h.customer_id IS NULL OR h.customer_id = {customer_id})"
        f" AND (h.session_id IS NULL OR h.session_id = {session_id})"
        f" AND (h.start_time IS NULL OR {since} >= h.start_time)"
        f" AND (h.end_time IS NULL OR {began or since} < h.end_time))"
    )


def parameters(record_class: RecordClass, policy: Policy, now: datetime) -> dict[str, Any]:
    """What the SQL twins are executed with."""
    return {
        "now": now,
        "zone": policy.zone,
        "period": str(policy.period(record_class)),
        "minimum": str(policy.legal_minimum),
        "has_minimum": bool(policy.legal_minimum),
        "archives": record_class is RecordClass.MESSAGES and policy.archive_mode is not ArchiveMode.NONE,
    }
