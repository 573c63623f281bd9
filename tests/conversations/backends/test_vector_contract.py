"""What every vector store promises, to searchers and to the mirror."""

import datetime as dt
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from conversations.backends.protocols import VectorStore
from conversations.backends.values import (
    DayDigest,
    Kind,
    MirroredVersion,
    MirrorKey,
    Outcome,
    SearchFilter,
    fingerprint,
)
from conversations.exceptions import TenantMissing
from conversations.ids import floor_id, new_id
from tests.conversations.backends.builders import DIMENSION, NOON, embedded, key, message, removal, vector

DAY = dt.timedelta(days=1)
MOMENT = dt.timedelta(milliseconds=1)
EAST = vector(1.0)


def found(store: VectorStore, tenant: UUID, of: Kind = Kind.MESSAGES, **narrowed: Any) -> list[UUID]:
    (hits,) = store.search([EAST], SearchFilter(tenant_id=tenant, **narrowed), of)
    return [hit.id for hit in hits]


# -- searching -------------------------------------------------------------------------------------------


def test_search_gives_the_cosine_best_first(vector_store: VectorStore, tenant: UUID) -> None:
    near, far, opposite = key(tenant), key(tenant), key(tenant)
    vector_store.apply([embedded(far, 1, 1), embedded(near, 3), embedded(opposite, -2)])

    (hits,) = vector_store.search([EAST], SearchFilter(tenant_id=tenant))

    assert [hit.id for hit in hits] == [near.id, far.id, opposite.id]
    assert [hit.score for hit in hits] == pytest.approx([1, 0.5**0.5, -1], abs=1e-6)


def test_search_answers_several_vectors_at_once(vector_store: VectorStore, tenant: UUID) -> None:
    east, north = key(tenant), key(tenant)
    vector_store.apply([embedded(east, 1, 0), embedded(north, 0, 1)])

    answers = vector_store.search([vector(0, 1), vector(1, 0)], SearchFilter(tenant_id=tenant), limit=1)

    assert [[hit.id for hit in hits] for hits in answers] == [[north.id], [east.id]]
    assert vector_store.search([], SearchFilter(tenant_id=tenant)) == []


def test_search_keeps_tenants_and_kinds_apart(
    vector_store: VectorStore, tenant: UUID, stranger: UUID
) -> None:
    mine, fact, foreign = key(tenant), key(tenant, Kind.MEMORIES), key(stranger)
    vector_store.apply([embedded(each) for each in (mine, fact, foreign)])

    assert found(vector_store, tenant) == [mine.id]
    assert found(vector_store, tenant, Kind.MEMORIES) == [fact.id]
    assert found(vector_store, stranger) == [foreign.id]


@pytest.mark.parametrize("nobody", [None, "", "*", "%", 'x" or tenant_id != "', 0, b"", bytes(range(16))])
def test_search_without_a_tenant_is_refused(vector_store: VectorStore, nobody: Any) -> None:
    with pytest.raises(TenantMissing):
        vector_store.search([EAST], SearchFilter(tenant_id=nobody))


@pytest.mark.parametrize("field", ["role", "language", "kind"])
@pytest.mark.parametrize("value", ['en" or tenant_id != "', "x" * 36, "", "é", "a b", "%"])
def test_search_for_what_no_code_can_be_finds_nothing(
    vector_store: VectorStore, tenant: UUID, stranger: UUID, field: str, value: str
) -> None:
    vector_store.apply([embedded(key(tenant)), embedded(key(stranger))])

    assert found(vector_store, tenant, **{field: value}) == []


def test_filters_narrow_one_by_one_and_together(vector_store: VectorStore, tenant: UUID) -> None:
    wanted, customer, in_session = key(tenant), new_id(), new_id()
    fields = {"customer_id": customer, "session_id": in_session, "role": "user", "language": "zh-CN"}
    vector_store.apply(
        [
            embedded(wanted, **fields),
            embedded(key(tenant), **fields | {"customer_id": new_id()}),
            embedded(key(tenant), **fields | {"customer_id": None}),
            embedded(key(tenant), **fields | {"session_id": new_id()}),
            embedded(key(tenant), **fields | {"role": "assistant"}),
            embedded(key(tenant), **fields | {"language": "en"}),
        ]
    )

    assert len(found(vector_store, tenant)) == 6
    for name, value in fields.items():
        assert len(found(vector_store, tenant, **{name: value})) == 5 - (name == "customer_id")
    assert found(vector_store, tenant, **fields) == [wanted.id]


def test_filter_by_time_includes_the_start_and_excludes_the_end(
    vector_store: VectorStore, tenant: UUID
) -> None:
    early, late = key(tenant, at=NOON), key(tenant, at=NOON + DAY)
    vector_store.apply([embedded(early), embedded(late)])

    assert set(found(vector_store, tenant, start=NOON, end=NOON + DAY + MOMENT)) == {early.id, late.id}
    assert found(vector_store, tenant, start=NOON, end=NOON + DAY) == [early.id]
    assert found(vector_store, tenant, start=NOON + MOMENT) == [late.id]
    assert found(vector_store, tenant, min_id=floor_id(NOON + MOMENT)) == [late.id]


def test_memories_of_a_customer_come_with_those_of_the_tenant(
    vector_store: VectorStore, tenant: UUID
) -> None:
    customer = new_id()
    mine, shared, foreign = (key(tenant, Kind.MEMORIES) for _ in range(3))
    vector_store.apply(
        [
            embedded(mine, customer_id=customer, memory_kind="note", role=None, language=None),
            embedded(shared, memory_kind="fact", expires_at=NOON + MOMENT),
            embedded(foreign, customer_id=new_id(), expires_at=NOON),
        ]
    )

    def memories(**narrowed: Any) -> set[UUID]:
        return set(found(vector_store, tenant, Kind.MEMORIES, **narrowed))

    assert memories(customer_id=customer) == {mine.id}
    assert memories(customer_id=customer, shared=True) == {mine.id, shared.id}
    assert memories(shared=True) == {shared.id}
    assert memories(kind="note") == {mine.id}
    assert memories(now=NOON) == {mine.id, shared.id}


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(DIMENSION, np.float32),
        np.full(DIMENSION, np.nan, np.float32),
        np.full(DIMENSION, np.inf, np.float32),
        np.full(DIMENSION, 1e-30, np.float32),
        np.full(DIMENSION, 1e30, np.float32),
        np.ones(DIMENSION - 1, np.float32),
        np.ones((1, DIMENSION), np.float32),
        np.ones(0, np.float32),
    ],
    ids=["zero", "nan", "infinite", "tiny", "huge", "short", "matrix", "empty"],
)
def test_bad_vectors_are_rejected_and_their_neighbours_are_not(
    vector_store: VectorStore, tenant: UUID, bad: Any
) -> None:
    good, rejected = key(tenant), key(tenant)

    results = vector_store.apply([embedded(rejected, vector=bad), embedded(good)])

    assert [result.outcome for result in results] == [Outcome.REJECTED, Outcome.DONE]
    assert results[0].detail
    assert vector_store.present([good, rejected]) == {good}


def test_search_refuses_a_bad_question(vector_store: VectorStore, tenant: UUID) -> None:
    with pytest.raises(ValueError, match="no direction"):
        vector_store.search([np.zeros(DIMENSION, np.float32)], SearchFilter(tenant_id=tenant))


# -- mirroring -------------------------------------------------------------------------------------------


def test_an_older_embedding_that_finishes_late_is_done_without_effect(
    vector_store: VectorStore, tenant: UUID
) -> None:
    wanted = key(tenant)
    vector_store.apply([embedded(wanted, 1, version=9)])

    (result,) = vector_store.apply([embedded(wanted, 0, 1, version=8)])

    (hits,) = vector_store.search([EAST], SearchFilter(tenant_id=tenant))
    assert result.outcome is Outcome.DONE
    assert hits[0].score == pytest.approx(1)
    assert list(vector_store.versions(Kind.MESSAGES, tenant)) == [MirroredVersion(wanted, 9)]


def test_the_newest_of_several_changes_in_one_batch_stands(vector_store: VectorStore, tenant: UUID) -> None:
    kept, gone = key(tenant), key(tenant)

    vector_store.apply(
        [
            embedded(kept, version=3),
            removal(kept, 2),
            embedded(gone, version=1),
            removal(gone, 4),
            embedded(gone, version=3),
        ]
    )

    assert vector_store.present([kept, gone]) == {kept}


def test_search_does_not_find_what_was_just_removed(vector_store: VectorStore, tenant: UUID) -> None:
    gone = key(tenant, Kind.MEMORIES)
    vector_store.apply([embedded(gone)])
    vector_store.apply([removal(gone, 2)])

    assert found(vector_store, tenant, Kind.MEMORIES) == []


def test_text_is_refused(vector_store: VectorStore, tenant: UUID) -> None:
    with pytest.raises(TypeError):
        vector_store.apply([message(key(tenant))])


def test_entry_of_somebody_elses_making_counts_on_the_day_that_lists_it(
    vector_store: VectorStore, tenant: UUID
) -> None:
    alien = MirrorKey(Kind.MESSAGES, tenant, UUID("ffffffff-ffff-4fff-bfff-ffffffffffff"))
    vector_store.apply([embedded(alien, created_at=NOON, version=5)])

    digests = list(vector_store.day_digests(Kind.MESSAGES, tenant))
    listed = vector_store.versions(Kind.MESSAGES, tenant, NOON, NOON + DAY)

    assert digests == [DayDigest(tenant, NOON.date(), 1, fingerprint(alien.id, 5))]
    assert list(listed) == [MirroredVersion(alien, 5)]


# -- collections -----------------------------------------------------------------------------------------


def test_rebuild_by_copy_keeps_everything_that_is_held(own_vector_store: VectorStore, tenant: UUID) -> None:
    kept = [embedded(key(tenant), 1, number, version=number + 1, role="tool") for number in range(1_001)]
    gone, fact = embedded(key(tenant)), embedded(key(tenant, Kind.MEMORIES), expires_at=NOON)
    own_vector_store.apply([*kept, gone, fact])
    own_vector_store.apply([removal(gone.key, 2)])
    before = own_vector_store.search([vector(1, 2)], SearchFilter(tenant_id=tenant, role="tool"))

    copied = own_vector_store.rebuild_by_copy()

    assert copied == 1_002
    after = own_vector_store.search([vector(1, 2)], SearchFilter(tenant_id=tenant, role="tool"))
    assert [hit.score for hit in after[0]] == pytest.approx([hit.score for hit in before[0]], abs=1e-6)
    assert {hit.id for hit in after[0][:50]} == {hit.id for hit in before[0][:50]}
    assert {held.version for held in own_vector_store.versions(Kind.MESSAGES, tenant)} == set(range(1, 1_002))
    assert own_vector_store.present([gone.key, fact.key]) == {fact.key}
    assert found(own_vector_store, tenant, Kind.MEMORIES, now=NOON) == []


def test_ensure_collection_makes_nothing_twice(own_vector_store: VectorStore) -> None:
    assert own_vector_store.ensure_collection() is False
    own_vector_store.ping()


def test_drop_of_nothing_is_nothing(own_vector_store: VectorStore) -> None:
    own_vector_store.drop()
    own_vector_store.drop()


def test_keys_of_the_two_kinds_are_apart(vector_store: VectorStore, tenant: UUID) -> None:
    said = key(tenant)
    vector_store.apply([embedded(said)])

    assert vector_store.present([MirrorKey(Kind.MEMORIES, tenant, new_id())]) == set()
