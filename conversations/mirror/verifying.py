"""`verify_mirrors`: compares every copy with PostgreSQL and repairs it if asked."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connections

from conversations.backends.values import Kind, Removal, StoreUnavailable
from conversations.enums import Entity, Reason, Sink
from conversations.indexing.turns import CHAPTER
from conversations.mirror import outbox
from conversations.mirror.comparing import Difference, compare, compare_again
from conversations.mirror.copies import Copy, copies_of
from conversations.mirror.drain import drain_while
from conversations.mirror.outbox import Stale
from conversations.mirror.writers import waiting_writer

SETTLING = 5.0  # seconds that events on their way are waited for
PAUSE = 0.2
PAGE = 500

_RAISE_CHAPTER = f"""
    UPDATE conversations_message SET row_version = nextval('row_version')
    WHERE tenant_id = %s AND session_id = %s AND (position - 1) / {CHAPTER} = %s RETURNING id
"""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a store compared: entries it should have, and those that differed; `repaired` of these are mended."""

    checked: int = 0
    missing: int = 0
    stale: int = 0
    extra: int = 0
    repaired: int = 0
    unreachable: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the store agrees with PostgreSQL now."""
        return not self.unreachable and self.missing + self.stale + self.extra == self.repaired


def verify(sink: Sink, tenant_ids: Sequence[UUID], *, repair: bool, tell: Progress) -> Verdict | None:
    """Compare a store with the record of these tenants; None where it is off."""
    copies = copies_of(sink)
    if not copies:
        return None
    try:
        if repair:
            for copy in copies:
                copy.make()
        checked, found = _compare_all(copies, tenant_ids, tell)
        found = _settled(sink, found)
        left = found
        if repair and found:
            tell(f"{sink.label}: mending {len(found)} entries")
            mend(sink, found)
            left = compare_again(found)
            if refused := [one for one in left if one.is_missing]:
                _renew(sink, refused)
                left = compare_again(found)
    except StoreUnavailable as error:
        return Verdict(unreachable=error.reason)
    return Verdict(
        checked=checked,
        missing=sum(one.is_missing for one in found),
        stale=sum(not one.is_missing and not one.is_extra for one in found),
        extra=sum(one.is_extra for one in found),
        repaired=max(len(found) - len(left), 0) if repair else 0,
    )


def mend(sink: Sink, differences: Sequence[Difference]) -> None:
    """Enqueue what the store lacks, remove what it should not have, and drain until it agrees."""
    advance_versions(max((one.held or 0 for one in differences), default=0))
    _raise_versions([one for one in differences if one.is_ahead and one.key.kind is not Kind.CHAPTERS])
    _forget(sink, [one for one in differences if one.is_extra])
    stale = {_stale(one) for one in differences if not one.is_extra}
    outbox.enqueue(sink, stale, Reason.REPAIR)
    waiting = [one.id for one in stale]
    drain_while(lambda: _on_their_way(sink, waiting), sink)


def remove_extras(sink: Sink, tenant_ids: Iterable[UUID]) -> int:
    """Remove what a store has of these tenants and the record has not; how much it was."""
    total = 0
    for copy in copies_of(sink):
        for tenant_id in tenant_ids:
            extra = [one for one in compare(copy, tenant_id).differences if one.is_extra]
            _forget(sink, extra)
            total += len(extra)
    return total


def advance_versions(version: int) -> None:
    """Advance the sequence beyond this version: a store may know versions that a restored database does not."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT setval('row_version', %s) FROM row_version WHERE last_value < %s", [version, version]
        )


def _compare_all(
    copies: Iterable[Copy], tenant_ids: Sequence[UUID], tell: Progress
) -> tuple[int, list[Difference]]:
    checked = 0
    found: list[Difference] = []
    for copy in copies:
        for number, tenant_id in enumerate(tenant_ids, start=1):
            compared = compare(copy, tenant_id)
            checked += compared.checked
            found += compared.differences
            tell(f"{copy.sink.label}: {number} of {len(tenant_ids)} tenants, {checked} entries")
    return checked, found


def _settled(sink: Sink, found: list[Difference]) -> list[Difference]:
    """The differences that remain after changes in flight have had a moment to arrive."""
    deadline = time.monotonic() + SETTLING
    while found and time.monotonic() < deadline and _on_their_way(sink, [one.key.id for one in found]):
        time.sleep(PAUSE)
        found = compare_again(found)
    # What was written while the first comparison went on arrives without our seeing its event.
    return compare_again(found) if found else found


def _on_their_way(sink: Sink, ids: Sequence[UUID]) -> bool:
    with connections["ops"].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM conversations_mirrorevent"
            " WHERE sink = %s AND parked_at IS NULL AND entity_id = ANY (%s))",
            [sink, list(ids)],
        )
        (pending,) = cursor.fetchone()
    return bool(pending)


def _stale(one: Difference) -> Stale:
    entity = Entity.CHAPTERS if one.key.kind is Kind.CHAPTERS else _entity_of(one)
    return Stale(one.tenant_id, entity, one.key.id, one.recorded or 0)


def _entity_of(one: Difference) -> int:
    return next(part.source.entity for part in one.copy.parts if part.kind is one.key.kind)


def _renew(sink: Sink, refused: Sequence[Difference]) -> None:
    """Resend with new versions what a store refuses at the old ones: it remembers deletions for an hour."""
    chapters = [one for one in refused if one.key.kind is Kind.CHAPTERS]
    waiting = _raise_versions([one for one in refused if one.key.kind is not Kind.CHAPTERS])
    waiting += _raise_versions_in(chapters)
    drain_while(lambda: _on_their_way(sink, waiting), sink)


def _raise_versions(differences: Sequence[Difference]) -> list[UUID]:
    """Give rows a version above what their copies have; the triggers enqueue them for every store."""
    tables: defaultdict[str, list[UUID]] = defaultdict(list)
    for one in differences:
        part = next(part for part in one.copy.parts if part.kind is one.key.kind)
        tables[part.source.table].append(one.key.id)
    for table, ids in tables.items():
        for begin in range(0, len(ids), PAGE):
            with connections["ops"].cursor() as cursor:
                cursor.execute(
                    f"UPDATE {table} SET row_version = nextval('row_version') WHERE id = ANY (%s)",
                    [ids[begin : begin + PAGE]],
                )
    return [one.key.id for one in differences]


def _raise_versions_in(chapters: Sequence[Difference]) -> list[UUID]:
    """The same for the messages of chapters, whose version is that of their newest message."""
    raised: list[UUID] = []
    with connections["ops"].cursor() as cursor:
        for one in chapters:
            cursor.execute(_RAISE_CHAPTER, [one.tenant_id, one.key.id, one.key.part])
            raised += [message_id for (message_id,) in cursor.fetchall()]
    return raised


def _forget(sink: Sink, differences: Sequence[Difference]) -> None:
    """Remove entries of rows that are gone, as the store's only writer."""
    by_copy: defaultdict[int, list[Difference]] = defaultdict(list)
    for one in differences:
        by_copy[id(one.copy)].append(one)
    for group in by_copy.values():
        for begin in range(0, len(group), PAGE):
            page = group[begin : begin + PAGE]
            removals = [Removal(one.key, (one.held or 0) + 1) for one in page]
            with waiting_writer(sink):
                results = page[0].copy.store.apply(removals)
            if any(result.outcome.is_open for result in results):
                raise StoreUnavailable(str(sink.label), "some removals were not taken")
