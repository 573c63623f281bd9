"""What every search store promises, to searchers and to the mirror."""

import datetime as dt
from typing import Any
from uuid import UUID

import pytest

from conversations.backends.protocols import SearchStore
from conversations.backends.values import (
    DayDigest,
    IdRange,
    Kind,
    MirroredVersion,
    MirrorKey,
    Outcome,
    SearchFilter,
    fingerprint,
)
from conversations.ids import floor_id, new_id
from tests.conversations.backends.builders import (
    NOON,
    archived,
    chapter,
    embedded,
    key,
    message,
    removal,
    session,
)

DAY = dt.timedelta(days=1)
MOMENT = dt.timedelta(milliseconds=1)


def catch_up(store: SearchStore, tenant: UUID) -> None:
    """Make writes visible to searches; counting promises to see everything."""
    for kind in Kind:
        store.count(kind, tenant)


def found(store: SearchStore, words: str, tenant: UUID, **narrowed: Any) -> list[UUID]:
    catch_up(store, tenant)
    where = SearchFilter(tenant_id=tenant, **narrowed)
    return [hit.id for hit in store.candidates(words, words, where).messages]


# -- writing ---------------------------------------------------------------------------------------------


def test_apply_of_nothing_is_nothing(search_store: SearchStore) -> None:
    assert search_store.apply([]) == []


def test_apply_again_changes_nothing(search_store: SearchStore, tenant: UUID) -> None:
    change = message(key(tenant), "printer", version=7)

    results = search_store.apply([change]) + search_store.apply([change])

    assert [result.outcome for result in results] == [Outcome.DONE] * 2
    assert found(search_store, "printer", tenant) == [change.key.id]


def test_an_older_write_that_arrives_late_is_done_without_effect(
    search_store: SearchStore, tenant: UUID
) -> None:
    wanted = key(tenant)
    search_store.apply([message(wanted, "new words", version=9)])

    (result,) = search_store.apply([message(wanted, "stale words", version=8)])

    assert result.outcome is Outcome.DONE
    assert found(search_store, "stale", tenant) == []
    assert list(search_store.versions(Kind.MESSAGES, tenant)) == [MirroredVersion(wanted, 9)]


def test_a_write_older_than_the_removal_stays_out(search_store: SearchStore, tenant: UUID) -> None:
    gone = key(tenant)
    search_store.apply([message(gone, version=3), removal(gone, 4)])

    (result,) = search_store.apply([message(gone, version=3)])

    assert result.outcome is Outcome.DONE
    assert search_store.present([gone]) == set()


def test_a_write_newer_than_the_removal_comes_back(search_store: SearchStore, tenant: UUID) -> None:
    back = key(tenant)
    search_store.apply([message(back, version=3), removal(back, 4), message(back, version=5)])

    assert search_store.present([back]) == {back}


def test_archive_and_sessions_are_found_by_their_text(search_store: SearchStore, tenant: UUID) -> None:
    record, closed = key(tenant, Kind.ARCHIVE), key(tenant, Kind.SESSIONS)
    search_store.apply(
        [archived(record, "printer"), session(closed, knowledge="replace the printer", success=True)]
    )
    catch_up(search_store, tenant)
    where = SearchFilter(tenant_id=tenant)

    assert [hit.id for hit in search_store.matches(Kind.ARCHIVE, "printer", where)] == [record.id]
    assert [hit.id for hit in search_store.matches(Kind.SESSIONS, "printer", where)] == [closed.id]
    assert search_store.candidates("printer", "printer", where).messages == ()


def test_vectors_are_refused(search_store: SearchStore, tenant: UUID) -> None:
    with pytest.raises(TypeError):
        search_store.apply([embedded(key(tenant))])


def test_versions_lists_chapters_by_their_part(search_store: SearchStore, tenant: UUID) -> None:
    part = MirrorKey(Kind.CHAPTERS, tenant, new_id(), 3)
    search_store.apply([chapter(part, "x", version=6)])

    assert list(search_store.versions(Kind.CHAPTERS, tenant)) == [MirroredVersion(part, 6)]


def test_day_digests_tell_chapters_apart(search_store: SearchStore, tenant: UUID) -> None:
    first = key(tenant, Kind.CHAPTERS)
    second = MirrorKey(Kind.CHAPTERS, tenant, first.id, 1)
    search_store.apply([chapter(first, "x", version=5), chapter(second, "x", version=6)])

    assert list(search_store.day_digests(Kind.CHAPTERS, tenant)) == [
        DayDigest(tenant, NOON.date(), 2, fingerprint(first.id, 5, 0) + fingerprint(first.id, 6, 1))
    ]


def test_remove_range_keeps_late_copies_out(own_search_store: SearchStore, tenant: UUID) -> None:
    gone = message(key(tenant), version=3)
    own_search_store.apply([gone])
    own_search_store.remove_range(Kind.MESSAGES, IdRange(floor_id(NOON), floor_id(NOON + DAY)))

    own_search_store.apply([gone])

    assert own_search_store.present([gone.key]) == set()


# -- rebuilding ------------------------------------------------------------------------------------------


def test_a_rebuild_replaces_the_index_without_a_moment_without_one(
    own_search_store: SearchStore, tenant: UUID
) -> None:
    stale, kept = key(tenant), key(tenant)
    own_search_store.apply([message(stale, "printer"), message(kept, "printer")])

    own_search_store.begin_rebuild(Kind.MESSAGES)
    while_empty = set(found(own_search_store, "printer", tenant))
    own_search_store.apply_to_rebuild(Kind.MESSAGES, [message(kept, "printer")])
    own_search_store.finish_rebuild(Kind.MESSAGES)

    assert while_empty == {stale.id, kept.id}
    assert found(own_search_store, "printer", tenant) == [kept.id]


def test_writes_during_a_rebuild_reach_both_indices(own_search_store: SearchStore, tenant: UUID) -> None:
    old, new, gone, changed = (key(tenant) for _ in range(4))
    own_search_store.apply([message(each, "printer", version=1) for each in (old, gone, changed)])

    own_search_store.begin_rebuild(Kind.MESSAGES)
    results = own_search_store.apply(
        [
            message(new, "printer", version=2),
            removal(gone, 3),
            message(changed, "scanner", version=4),
        ]
    )
    before_the_switch = found(own_search_store, "printer", tenant)
    # What the rebuild read of the rows before those changes arrives after them.
    own_search_store.apply_to_rebuild(
        Kind.MESSAGES, [message(each, "printer", version=1) for each in (old, gone, changed)]
    )
    own_search_store.finish_rebuild(Kind.MESSAGES)

    assert [result.outcome for result in results] == [Outcome.DONE] * 3
    assert set(before_the_switch) == {old.id, new.id}
    assert set(found(own_search_store, "printer", tenant)) == {old.id, new.id}
    assert found(own_search_store, "scanner", tenant) == [changed.id]


def test_an_abandoned_rebuild_leaves_the_index_as_it_was(own_search_store: SearchStore, tenant: UUID) -> None:
    kept = key(tenant)
    own_search_store.apply([message(kept, "printer")])

    own_search_store.begin_rebuild(Kind.MESSAGES)
    own_search_store.abandon_rebuild(Kind.MESSAGES)
    own_search_store.abandon_rebuild(Kind.MESSAGES)

    assert found(own_search_store, "printer", tenant) == [kept.id]


def test_a_rebuild_begun_again_starts_empty(own_search_store: SearchStore, tenant: UUID) -> None:
    own_search_store.begin_rebuild(Kind.MESSAGES)
    own_search_store.apply_to_rebuild(Kind.MESSAGES, [message(key(tenant), "printer")])
    own_search_store.begin_rebuild(Kind.MESSAGES)
    own_search_store.finish_rebuild(Kind.MESSAGES)

    assert found(own_search_store, "printer", tenant) == []


def test_ensure_indexes_makes_nothing_twice(own_search_store: SearchStore) -> None:
    assert own_search_store.ensure_indexes() == []
    own_search_store.ping()
