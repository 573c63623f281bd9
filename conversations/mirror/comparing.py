"""Finds where a copy differs from PostgreSQL: by count and digest of each day, then row by row on days that differ."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from conversations.backends.values import DayDigest, IndexMissing, Kind, MirrorKey
from conversations.mirror.copies import Copy
from conversations.mirror.record import Part, chapter_days, chapters_of, days_of, times, versions_of


@dataclass(frozen=True, slots=True)
class Difference:
    """A key with its version in PostgreSQL and in the copy; None where it is missing."""

    copy: Copy
    tenant_id: UUID
    day: dt.date
    key: MirrorKey
    recorded: int | None
    held: int | None

    @property
    def is_missing(self) -> bool:
        return self.held is None

    @property
    def is_extra(self) -> bool:
        return self.recorded is None

    @property
    def is_ahead(self) -> bool:
        """The copy has a version that the record never reached: the record was restored from a backup."""
        return self.recorded is not None and self.held is not None and self.held > self.recorded


@dataclass(frozen=True, slots=True)
class Compared:
    """How many entries a copy should have, and where it differs."""

    checked: int
    differences: list[Difference]


def compare(copy: Copy, tenant_id: UUID) -> Compared:
    """Compare everything that a tenant has. Raises StoreUnavailable when the store does not answer."""
    checked = 0
    differences: list[Difference] = []
    for part in copy.parts:
        recorded, held = days_of(part, tenant_id), _held_days(copy, part.kind, tenant_id)
        checked += sum(digest.count for digest in recorded.values())
        for day in sorted(recorded.keys() | held.keys()):
            if recorded.get(day) != held.get(day):
                differences += compare_day(copy, part, tenant_id, day)
    if copy.has_chapters:
        days = chapter_days(tenant_id) | _held_days(copy, Kind.CHAPTERS, tenant_id).keys()
        for day in sorted(days):
            counted, found = _compare_chapters(copy, tenant_id, day)
            checked += counted
            differences += found
    return Compared(checked, differences)


def compare_again(differences: Iterable[Difference]) -> list[Difference]:
    """The differences that remain on the days that had any."""
    places = {(one.copy.sink, id(one.copy), one.tenant_id, one.day, one.key.kind): one for one in differences}
    found: list[Difference] = []
    for one in places.values():
        if one.key.kind is Kind.CHAPTERS:
            found += _compare_chapters(one.copy, one.tenant_id, one.day)[1]
        else:
            part = next(part for part in one.copy.parts if part.kind is one.key.kind)
            found += compare_day(one.copy, part, one.tenant_id, one.day)
    return found


def compare_day(copy: Copy, part: Part, tenant_id: UUID, day: dt.date) -> list[Difference]:
    """Row by row: the copy first, so that a row written meanwhile is at most missing, never taken for too much."""
    held = _held(copy, part.kind, tenant_id, day)
    recorded = versions_of(part, tenant_id, day)
    lacking = copy.wanted(recorded.keys() - held.keys())
    return [
        Difference(copy, tenant_id, day, key, recorded.get(key), held.get(key))
        for key in recorded.keys() | held.keys()
        if key in lacking or (key in held and recorded.get(key) != held[key])
    ]


def _compare_chapters(copy: Copy, tenant_id: UUID, day: dt.date) -> tuple[int, list[Difference]]:
    """A chapter is stale below its live messages' greatest version; above it when a message has left."""
    held = _held(copy, Kind.CHAPTERS, tenant_id, day)
    recorded = chapters_of(tenant_id, day)
    differences = [
        Difference(copy, tenant_id, day, key, recorded.get(key), held.get(key))
        for key in recorded.keys() | held.keys()
        if key not in recorded or held.get(key, -1) < recorded[key]
    ]
    return len(recorded), differences


def _held(copy: Copy, kind: Kind, tenant_id: UUID, day: dt.date) -> dict[MirrorKey, int]:
    try:
        return {entry.key: entry.version for entry in copy.store.versions(kind, tenant_id, *times(day))}
    except IndexMissing:
        return {}


def _held_days(copy: Copy, kind: Kind, tenant_id: UUID) -> dict[dt.date, DayDigest]:
    try:
        return {digest.day: digest for digest in copy.store.day_digests(kind, tenant_id)}
    except IndexMissing:
        return {}
