"""What every mirror promises to the drain, to rebuilds, verification, purges and erasures."""

import datetime as dt
from uuid import UUID

from conversations.backends.values import (
    ALL_IDS,
    DayDigest,
    IdRange,
    Kind,
    MirroredVersion,
    Outcome,
    fingerprint,
)
from conversations.ids import floor_id
from tests.conversations.backends.builders import NOON, key, removal
from tests.conversations.backends.conftest import MirrorUnderTest

DAY = dt.timedelta(days=1)
MOMENT = dt.timedelta(milliseconds=1)
FIRST_DAY = IdRange(floor_id(NOON), floor_id(NOON + DAY))


def test_apply_judges_every_change_in_order(mirror: MirrorUnderTest, tenant: UUID) -> None:
    changes = [
        mirror.upsert(key(tenant)),
        removal(key(tenant), 5),
        mirror.upsert(key(tenant, Kind.MEMORIES)),
    ]

    results = mirror.store.apply(changes)

    assert [(result.key, result.outcome) for result in results] == [(c.key, Outcome.DONE) for c in changes]
    assert mirror.store.apply([]) == []


def test_apply_again_changes_nothing(mirror: MirrorUnderTest, tenant: UUID) -> None:
    change = mirror.upsert(key(tenant), version=7)

    results = [*mirror.store.apply([change, change]), *mirror.store.apply([change])]

    assert [result.outcome for result in results] == [Outcome.DONE] * 3
    assert list(mirror.store.versions(Kind.MESSAGES, tenant)) == [MirroredVersion(change.key, 7)]


def test_a_removal_older_than_the_entry_is_done_without_effect(mirror: MirrorUnderTest, tenant: UUID) -> None:
    kept = key(tenant)
    mirror.store.apply([mirror.upsert(kept, version=9)])

    (result,) = mirror.store.apply([removal(kept, 8)])

    assert result.outcome is Outcome.DONE
    assert mirror.store.present([kept]) == {kept}


def test_present_sees_deletes_just_made(mirror: MirrorUnderTest, tenant: UUID, stranger: UUID) -> None:
    kept, gone, never = key(tenant), key(tenant, Kind.MEMORIES), key(stranger)
    mirror.store.apply([mirror.upsert(kept), mirror.upsert(gone)])
    mirror.store.apply([removal(gone, 2)])

    assert mirror.store.present([kept, gone, never]) == {kept}
    assert mirror.store.present([]) == set()


def test_count_is_of_a_tenant_or_a_range(own_mirror: MirrorUnderTest, tenant: UUID, stranger: UUID) -> None:
    store = own_mirror.store
    keys = key(tenant), key(tenant, at=NOON + DAY), key(stranger)
    store.apply([own_mirror.upsert(each) for each in keys])

    assert store.count(Kind.MESSAGES, tenant) == 2
    assert store.count(Kind.MESSAGES, tenant, FIRST_DAY) == 1
    assert store.count(Kind.MESSAGES) == 3
    assert store.count(Kind.MESSAGES, ids=FIRST_DAY) == 2
    assert store.count(Kind.MEMORIES, tenant) == 0


def test_versions_lists_what_is_held(mirror: MirrorUnderTest, tenant: UUID, stranger: UUID) -> None:
    first, second, fact = key(tenant), key(tenant, at=NOON + DAY), key(tenant, Kind.MEMORIES)
    versions = {first: 2**53 + 1, second: 4, fact: 1, key(stranger): 1}
    mirror.store.apply([mirror.upsert(each, version=version) for each, version in versions.items()])

    everything = set(mirror.store.versions(Kind.MESSAGES, tenant))
    of_first_day = list(mirror.store.versions(Kind.MESSAGES, tenant, NOON, NOON + DAY))

    assert everything == {MirroredVersion(first, 2**53 + 1), MirroredVersion(second, 4)}
    assert of_first_day == [MirroredVersion(first, 2**53 + 1)]
    assert list(mirror.store.versions(Kind.MEMORIES, tenant)) == [MirroredVersion(fact, 1)]


def test_versions_lists_more_than_a_page(mirror: MirrorUnderTest, tenant: UUID) -> None:
    changes = [mirror.upsert(key(tenant), version=number) for number in range(1, 2_502)]
    mirror.store.apply(changes)

    listed = list(mirror.store.versions(Kind.MESSAGES, tenant))

    assert {held.key for held in listed} == {change.key for change in changes}
    assert len(listed) == len(changes)


def test_day_digests_count_and_sum_each_day(mirror: MirrorUnderTest, tenant: UUID, stranger: UUID) -> None:
    midnight = NOON + dt.timedelta(hours=12)
    keys = [key(tenant, at=at) for at in (NOON, midnight - MOMENT, midnight)]
    mirror.store.apply([*(mirror.upsert(each, version=5) for each in keys), mirror.upsert(key(stranger))])

    digests = sorted(mirror.store.day_digests(Kind.MESSAGES, tenant), key=lambda digest: digest.day)

    assert digests == [
        DayDigest(tenant, NOON.date(), 2, sum(fingerprint(each.id, 5) for each in keys[:2])),
        DayDigest(tenant, midnight.date(), 1, fingerprint(keys[2].id, 5)),
    ]


def test_remove_range_empties_exactly_the_range(
    own_mirror: MirrorUnderTest, tenant: UUID, stranger: UUID
) -> None:
    store = own_mirror.store
    before, first, last, after = (
        key(tenant, at=at) for at in (NOON - MOMENT, NOON, NOON + DAY - MOMENT, NOON + DAY)
    )
    foreign, fact = key(stranger), key(tenant, Kind.MEMORIES)
    everything = [before, first, last, after, foreign, fact]
    store.apply([own_mirror.upsert(each, version=3) for each in everything])

    assert store.remove_range(Kind.MESSAGES, FIRST_DAY, tenant) == 2
    assert store.present(everything) == {before, after, foreign, fact}
    assert store.remove_range(Kind.MESSAGES, FIRST_DAY) == 1
    assert store.count(Kind.MESSAGES, ids=FIRST_DAY) == 0


def test_remove_range_of_all_ids_empties_the_store(own_mirror: MirrorUnderTest, tenant: UUID) -> None:
    own_mirror.store.apply([own_mirror.upsert(key(tenant)), own_mirror.upsert(key(tenant, at=NOON + DAY))])

    assert own_mirror.store.remove_range(Kind.MESSAGES, ALL_IDS) == 2
    assert own_mirror.store.count(Kind.MESSAGES) == 0
