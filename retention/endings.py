"""When a record ends and why, in words for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from retention.enums import ArchiveMode, RecordClass
from retention.law import Hold, Record
from retention.periods import Period
from retention.policies import Policy

_THEN = {
    ArchiveMode.SEALED: "then archives them",
    ArchiveMode.SCRUBBED: "then archives them without identifiers",
    ArchiveMode.NONE: "then destroys them",
}
_KEPT = {
    RecordClass.MESSAGES: "messages",
    RecordClass.SUMMARIES: "summaries",
    RecordClass.ARCHIVE: "archived messages",
}


@dataclass(frozen=True, slots=True)
class NamedHold:
    matter: str
    hold: Hold


@dataclass(frozen=True, slots=True)
class Ending:
    """`on` is None while a hold is in force: nobody knows yet."""

    on: datetime | None
    because: str
    held: bool = False


def ending(record: Record, policy: Policy, holds: Sequence[NamedHold], now: datetime) -> Ending:
    """When the record leaves its class: by the policy, or later because a hold covers it."""
    on, because = _by_policy(record, policy)
    binding = [named for named in holds if named.hold.binds(record, now)]
    for named in binding:
        grace = named.hold.ends_at
        if grace is None:
            return Ending(None, f"hold “{named.matter}” is in force", held=True)
        if grace > on:
            on, because = grace, f"hold “{named.matter}” covers it until its grace period is over"
    return Ending(on, because, held=bool(binding))


def in_words(period: Period) -> str:
    """`90 days`, `2 years`, `1 year 6 months`."""
    counts = ((period.years, "year"), (period.months, "month"), (period.weeks, "week"), (period.days, "day"))
    words = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in counts if count]
    return " ".join(words) or "no time"


def _by_policy(record: Record, policy: Policy) -> tuple[datetime, str]:
    on = policy.expires_at(record.record_class, record.since)
    kept = in_words(policy.period(record.record_class))
    name = f"policy {policy.version}" if policy.version else "the default policy"
    because = f"{name} keeps {_KEPT[record.record_class]} for {kept}"
    # Archiving is not destruction: the legal minimum does not delay it.
    if record.record_class is RecordClass.MESSAGES:
        return on, f"{because}, {_THEN[policy.archive_mode]}"
    minimum = policy.minimum_ends_at(record.since)
    if minimum is not None and minimum > on:
        return minimum, f"the law requires {in_words(policy.legal_minimum)} ({policy.legal_basis})"
    return on, because
