"""Retention policies as values: how they are validated, and when a change shortens anything."""

from dataclasses import dataclass
from datetime import datetime

from conversations.exceptions import FieldError
from retention.enums import ArchiveMode, RecordClass
from retention.periods import NO_TIME, Period, expires_at, is_zone

# From the most that can remain to the least.
_MODES = (ArchiveMode.SEALED, ArchiveMode.SCRUBBED, ArchiveMode.NONE)


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a tenant's policy."""

    messages: Period
    summaries: Period
    archive: Period
    archive_mode: ArchiveMode = ArchiveMode.SEALED
    legal_minimum: Period = NO_TIME
    legal_basis: str = ""
    zone: str = "UTC"
    version: int = 0

    def period(self, record_class: RecordClass) -> Period:
        return {
            RecordClass.MESSAGES: self.messages,
            RecordClass.SUMMARIES: self.summaries,
            RecordClass.ARCHIVE: self.archive,
        }[record_class]

    def expires_at(self, record_class: RecordClass, since: datetime) -> datetime:
        """The first moment past the period of a record whose clock started then."""
        return expires_at(since, self.period(record_class), self.zone)

    def minimum_ends_at(self, since: datetime) -> datetime | None:
        """The first moment at which the legal minimum asks no more for the record; None without a minimum.

        A minimum of zero is none: added in an hour that a clock change repeats, it would end an hour later.
        """
        return expires_at(since, self.legal_minimum, self.zone) if self.legal_minimum else None


DEFAULT_POLICY = Policy(messages=Period(days=90), summaries=Period(years=2), archive=Period(years=7))


def check_policy(policy: Policy) -> list[FieldError]:
    """Every way in which the policy contradicts itself; empty when it may be put in force."""
    problems = [
        FieldError(name, "not_positive", f"The period for {name} must be longer than nothing.")
        for name in ("messages", "summaries", "archive")
        if not getattr(policy, name)
    ]
    if not policy.archive.never_shorter_than(policy.messages):
        problems.append(
            FieldError("archive", "shorter_than_messages", "The archive may not end before the messages do.")
        )
    if not is_zone(policy.zone):
        problems.append(FieldError("timezone", "unknown_zone", "Not a time zone, such as Asia/Singapore."))
    return problems + (_check_minimum(policy) if policy.legal_minimum else [])


def _check_minimum(policy: Policy) -> list[FieldError]:
    problems = []
    if not policy.archive.never_shorter_than(policy.legal_minimum):
        detail = "The legal minimum may not be longer than the archive period."
        problems.append(FieldError("legal_minimum", "above_archive", detail))
    if not policy.legal_basis.strip():
        detail = "A legal minimum needs its legal basis."
        problems.append(FieldError("legal_basis", "missing", detail))
    outlives_messages = not policy.messages.never_shorter_than(policy.legal_minimum)
    if policy.archive_mode is ArchiveMode.NONE:
        detail = "With a legal minimum there has to be an archive."
        problems.append(FieldError("archive_mode", "minimum_needs_archive", detail))
    elif policy.archive_mode is ArchiveMode.SCRUBBED and outlives_messages:
        detail = (
            "A legal minimum above the message period needs the originals, kept by a sealed archive only."
        )
        problems.append(FieldError("archive_mode", "minimum_needs_originals", detail))
    return problems


def shortens(old: Policy, new: Policy) -> bool:
    """Whether anything could end earlier under the new policy, or less of it remain: then two people decide.

    A change of zone counts, unless every period grows by more than zones can differ.
    """
    if _MODES.index(new.archive_mode) > _MODES.index(old.archive_mode):
        return True
    periods = [
        (old.messages, new.messages),
        (old.summaries, new.summaries),
        (old.archive, new.archive),
        (old.legal_minimum, new.legal_minimum),
    ]
    if old.zone == new.zone:
        return any(not later.never_shorter_than(earlier) for earlier, later in periods)
    return any(later.fewest_days < earlier.most_days + 2 for earlier, later in periods if earlier)
