"""Leases, pauses and parking: what the outbox promises to a worker."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from conversations.backends.values import Outcome
from conversations.enums import Entity, Reason, Sink
from conversations.ids import new_id
from conversations.mirror import claims
from conversations.mirror.claims import ATTEMPTS, Setback
from conversations.mirror.outbox import Stale, enqueue
from conversations.models import MirrorEvent
from tests.conversations.mirror.conftest import as_owner, events

TENANT = new_id()


def write(count, sink=Sink.LEXICAL, reason=Reason.CHANGE):
    enqueue(sink, [Stale(TENANT, Entity.MESSAGE, new_id(), n) for n in range(1, count + 1)], reason)


@pytest.fixture(autouse=True)
def empty_outbox(lexical_only):
    pass


def test_claimed_events_are_nobody_elses():
    write(10)

    first, second = claims.claim(Sink.LEXICAL, 6), claims.claim(Sink.LEXICAL, 6)

    assert (len(first.events), len(second.events)) == (6, 4)
    assert not {event.id for event in first.events} & {event.id for event in second.events}


def test_workers_that_claim_at_once_share_without_overlap():
    write(300)

    def work(_):
        try:
            return [event.id for event in claims.claim(Sink.LEXICAL, 100).events]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        claimed = [event_id for part in pool.map(work, range(4)) for event_id in part]

    assert len(claimed) == len(set(claimed))


def test_a_claim_takes_the_newest_beside_the_oldest():
    write(20, reason=Reason.REBUILD)
    as_owner("UPDATE conversations_mirrorevent SET next_at = next_at - interval '1 minute'")
    write(1)

    claimed = claims.claim(Sink.LEXICAL, 10)

    reasons = [event.reason for event in claimed.events]
    assert reasons.count(Reason.CHANGE) == 1
    assert reasons.count(Reason.REBUILD) == 9


def test_events_of_other_sinks_stay():
    write(3, sink=Sink.MILVUS)

    assert claims.claim(Sink.LEXICAL, 10).events == ()


def test_an_expired_lease_is_claimed_anew_and_its_holder_forgets_nothing():
    write(3)
    asleep = claims.claim(Sink.LEXICAL, 10)
    as_owner("UPDATE conversations_mirrorevent SET leased_until = now() - interval '1 second'")
    awake = claims.claim(Sink.LEXICAL, 10)

    claims.acknowledge(asleep, asleep.events)

    assert {event.id for event in awake.events} == {event.id for event in asleep.events}
    assert events() == 3


def test_acknowledging_leaves_what_was_written_meanwhile():
    write(1)
    claimed = claims.claim(Sink.LEXICAL, 10)
    (event,) = claimed.events
    enqueue(Sink.LEXICAL, [Stale(TENANT, Entity.MESSAGE, event.entity_id, 99)], Reason.CHANGE)

    claims.acknowledge(claimed, claimed.events)

    left = MirrorEvent.objects.using("ops").get()
    assert left.entity_version == 99


def test_acknowledging_forgets_what_was_parked_of_the_same_row():
    write(1)
    as_owner("UPDATE conversations_mirrorevent SET parked_at = now()")
    parked = MirrorEvent.objects.using("ops").get()
    enqueue(Sink.LEXICAL, [Stale(TENANT, Entity.MESSAGE, parked.entity_id, 99)], Reason.REPAIR)
    claimed = claims.claim(Sink.LEXICAL, 10)

    claims.acknowledge(claimed, claimed.events)

    assert events() == 0


def test_a_refused_event_is_parked_after_five_attempts():
    write(1)

    states = []
    for _ in range(ATTEMPTS):
        as_owner("UPDATE conversations_mirrorevent SET next_at = now()")
        claimed = claims.claim(Sink.LEXICAL, 1)
        claims.set_back(claimed, [Setback(event, "bad_field", Outcome.REJECTED) for event in claimed.events])
        states.append(MirrorEvent.objects.using("ops").get().parked_at is not None)

    assert states == [False] * (ATTEMPTS - 1) + [True]
    assert claims.claim(Sink.LEXICAL, 1).events == ()


def test_an_event_whose_store_is_away_is_never_parked():
    write(1)

    for _ in range(3 * ATTEMPTS):
        as_owner("UPDATE conversations_mirrorevent SET next_at = now()")
        claimed = claims.claim(Sink.LEXICAL, 1)
        claims.set_back(claimed, [Setback(event, "down", Outcome.UNANSWERED) for event in claimed.events])

    event = MirrorEvent.objects.using("ops").get()
    assert (event.parked_at, event.attempts) == (None, 3 * ATTEMPTS)


@pytest.mark.parametrize(
    ("reason", "longest"),
    [(Reason.CHANGE, 300), (Reason.REBUILD, 300), (Reason.PURGE, 60), (Reason.ERASURE, 60)],
)
def test_pauses_double_with_jitter_up_to_a_limit(reason, longest):
    first = {claims.pause_before(1, reason) for _ in range(50)}
    late = {claims.pause_before(1_000, reason) for _ in range(50)}

    assert all(1 <= pause <= 2 for pause in first)
    assert all(longest / 2 <= pause <= longest for pause in late)
    assert len(late) > 25
