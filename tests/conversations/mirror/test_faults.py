"""Stores that are down, slow, silent or lying, and workers that die: nothing is lost, nothing comes back."""

import signal
import threading
import time
from itertools import count

import pytest
from django.utils import timezone

from conversations.backends import elasticsearch_bulk
from conversations.backends.configured import forget_stores
from conversations.backends.values import Kind, MirrorKey
from conversations.enums import Sink
from conversations.mirror import writers
from conversations.mirror.drain import drain, drain_sink
from conversations.models import Message, MirrorEvent
from conversations.services.mirrors.status import mirror_status
from conversations.services.recall.search import SearchRequest, search
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say
from tests.conversations.backends.proxies import Answer, FaultProxy, http_proxy
from tests.conversations.mirror.conftest import as_owner, drain_all, events, make_due


@pytest.fixture
def proxy(stores, elasticsearch, settings):
    """Every way to Elasticsearch leads through here."""
    proxy = FaultProxy(elasticsearch)
    settings.ELASTICSEARCH_URL = proxy.url
    forget_stores()
    yield proxy
    proxy.down()


@pytest.fixture
def talk(stores):
    tenant = make_tenant()
    return tenant, make_session(tenant, customer_id="ann")


def is_bulk(request):
    return request.path.split("?")[0].endswith("/_bulk")


def back_to(url, settings):
    settings.ELASTICSEARCH_URL = url
    forget_stores()


def test_while_a_store_is_down_writes_go_on_and_later_nothing_is_missing(stores, proxy, talk):
    tenant, session = talk
    ids = message_ids(say(tenant, session, "before"))
    drain_all()

    proxy.down()
    say(tenant, session, "while it was down")
    with tenant_scope(tenant.id):
        Message.objects.filter(id=ids[0]).update(hidden_at=timezone.now())
    drain()
    behind = mirror_status(tenant.id)
    proxy.up()
    stores.search.connection.breaker.reset()
    make_due()
    drain_all()

    assert behind.pending > 0
    assert behind.parked == 0
    assert mirror_status(tenant.id).pending == 0
    assert stores.differences() == {}


def test_when_a_store_is_back_nothing_waits_out_its_pause(stores, proxy, talk):
    tenant, session = talk
    drain_all()
    proxy.down()
    say(tenant, session, "one", "two", "three")
    drain()
    as_owner("UPDATE conversations_mirrorevent SET next_at = now() + interval '5 minutes'")

    proxy.up()
    stores.search.connection.breaker.reset()
    say(tenant, session, "the store is back")
    drain()

    assert events() == 0
    assert stores.differences() == {}


def test_what_a_store_left_unanswered_is_sent_again_as_soon_as_it_takes_something(
    stores, talk, elasticsearch, settings, monkeypatch
):
    monkeypatch.setattr(elasticsearch_bulk, "MOST_OPERATIONS", 2)
    tenant, session = talk
    say(tenant, session, "one", "two", "three", "four")
    bulks = count()

    def silent_to_the_second(request):
        answer = request.forward()
        return None if is_bulk(request) and next(bulks) == 1 else answer

    with http_proxy(elasticsearch, silent_to_the_second) as url:
        back_to(url, settings)
        drain_sink(Sink.ELASTICSEARCH)
    drain_all()

    assert next(bulks) > 2
    assert events() == 0
    assert stores.differences() == {}


def test_a_store_that_never_answers_costs_a_drain_ten_seconds_and_the_others_nothing(stores, proxy, talk):
    tenant, session = talk
    say(tenant, session, "hello")
    proxy.black_hole = True

    began = time.monotonic()
    drained = drain()
    took = time.monotonic() - began

    assert took < 12
    assert drained.set_back == events(Sink.ELASTICSEARCH)
    assert (events(Sink.LEXICAL), events(Sink.MILVUS)) == (0, 0)


def test_an_answer_that_breaks_off_is_asked_for_again(stores, proxy, talk):
    tenant, session = talk
    say(tenant, session, *[f"turn {n}" for n in range(30)])
    proxy.cut_after = 600

    drain()
    proxy.heal()
    stores.search.connection.breaker.reset()
    make_due()
    drain_all()

    assert events() == 0
    assert stores.differences() == {}


def test_only_the_items_that_failed_are_sent_again(stores, talk, elasticsearch, settings):
    tenant, session = talk
    (first, second) = message_ids(say(tenant, session, "one", "two"))
    sent: list[bytes] = []

    def refuse_the_second(request):
        answer = request.forward()
        if not is_bulk(request):
            return answer
        sent.append(request.body)
        if len(sent) > 1:
            return answer
        busy = b'{"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"busy"}}}'
        items = answer.body.split(b'"items":[', 1)[1].rsplit(b"]}", 1)[0].split(b"},{")
        items[1] = busy[1:-1]
        return Answer(200, b'{"items":[' + b"},{".join(items) + b"]}")

    with http_proxy(elasticsearch, refuse_the_second) as url:
        back_to(url, settings)
        as_owner("DELETE FROM conversations_mirrorevent WHERE sink <> %s OR entity <> 1", Sink.ELASTICSEARCH)
        drain()
        left = [event.entity_id for event in MirrorEvent.objects.using("ops").all()]
        make_due()
        drain()
    back_to(elasticsearch, settings)

    assert left == [second]
    assert str(first).encode() not in sent[1].replace(b"chapters", b"").split(b'"context"')[0]
    assert events() == 0


def test_a_worker_killed_between_send_and_acknowledge_costs_nothing(
    stores, talk, elasticsearch, settings, drain_process
):
    tenant, session = talk
    ids = message_ids(say(tenant, session, "one", "two"))
    reached = threading.Event()

    def accept_and_be_silent(request):
        answer = request.forward()
        if is_bulk(request):
            reached.set()
            time.sleep(60)
        return answer

    with http_proxy(elasticsearch, accept_and_be_silent) as url:
        worker = drain_process(ELASTICSEARCH_URL=url)
        assert reached.wait(60)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    waiting = events(Sink.ELASTICSEARCH)
    stores.search.count(Kind.MESSAGES, tenant.id)
    accepted = stores.search.present([MirrorKey(Kind.MESSAGES, tenant.id, i) for i in ids])
    make_due()
    drain_all()

    assert waiting > 0
    assert len(accepted) == 2
    assert events() == 0
    assert stores.differences() == {}


def test_a_worker_that_slept_past_its_lease_undoes_nothing(
    stores, talk, elasticsearch, settings, drain_process, monkeypatch
):
    tenant, session = talk
    (message_id,) = message_ids(say(tenant, session, "as it was"))
    reached, asleep = threading.Event(), threading.Event()

    def hold_the_first_bulk(request):
        if is_bulk(request) and not reached.is_set():
            reached.set()
            asleep.wait(60)  # forwarded late, with the row as it was then
        return request.forward()

    with http_proxy(elasticsearch, hold_the_first_bulk) as url:
        zombie = drain_process(ELASTICSEARCH_URL=url)
        assert reached.wait(60)
        zombie.send_signal(signal.SIGSTOP)
        with tenant_scope(tenant.id):
            Message.objects.filter(id=message_id).update(hidden_at=timezone.now())
        as_owner("UPDATE conversations_mirrorevent SET leased_until = now() - interval '1 second'")
        alone_before = drain_sink(Sink.ELASTICSEARCH)
        monkeypatch.setattr(writers, "SILENCE", 0.5)
        time.sleep(1)
        taken_over = drain_sink(Sink.ELASTICSEARCH)
        asleep.set()
        zombie.send_signal(signal.SIGCONT)
        zombie.wait(60)
    drain_all()

    assert alone_before.done == 0
    assert taken_over.done > 0
    assert stores.search.present([MirrorKey(Kind.MESSAGES, tenant.id, message_id)]) == set()
    assert stores.differences() == {}


def test_updates_that_arrive_in_reverse_order_leave_the_newest(stores, talk, elasticsearch, settings):
    tenant, session = talk
    (message_id,) = message_ids(say(tenant, session, "hello"))
    late: list[bytes] = []

    def hold_back_the_first(request):
        if is_bulk(request) and not late:
            late.append(request.body)
            return Answer(503, b"{}")
        return request.forward()

    with http_proxy(elasticsearch, hold_back_the_first) as url:
        back_to(url, settings)
        drain_sink(Sink.ELASTICSEARCH)
        with tenant_scope(tenant.id):
            Message.objects.filter(id=message_id).update(hidden_at=timezone.now())
        make_due()
        drain_all()
    back_to(elasticsearch, settings)
    stores.search.connection.ask(10, lambda client: client.bulk(operations=late[0].strip().split(b"\n")))

    assert stores.search.present([MirrorKey(Kind.MESSAGES, tenant.id, message_id)]) == set()
    assert stores.differences() == {}


def test_what_a_store_brought_back_is_not_shown_and_the_next_repair_removes_it(stores, talk):
    """Beyond the time that Elasticsearch remembers a delete, a late write may resurrect a document."""
    tenant, session = talk
    (message_id,) = message_ids(say(tenant, session, "resurrected zebra"))
    drain_all()
    with tenant_scope(tenant.id):
        Message.objects.filter(id=message_id).delete()
    as_owner(
        "DELETE FROM conversations_mirrorevent WHERE sink <> %s", Sink.LEXICAL
    )  # as if they had been followed
    drain_all()
    stores.search.count(Kind.MESSAGES, tenant.id)

    found = search(SearchRequest(tenant_id=tenant.id, query="zebra", customer_id="ann"))
    before = stores.verdict(Sink.ELASTICSEARCH)
    repaired = stores.verdict(Sink.ELASTICSEARCH, repair=True)

    assert found["data"] == []
    assert (before.extra, before.agrees) == (2, False)  # the message and its chapter
    assert repaired.agrees
    assert stores.search.present([MirrorKey(Kind.MESSAGES, tenant.id, message_id)]) == set()


def test_an_index_deleted_by_hand_is_not_made_by_the_drain(stores, talk, elasticsearch):
    tenant, session = talk
    stores.search.drop_indexes()

    say(tenant, session, "hello")
    drain()
    exists = stores.search.connection.ask(
        10, lambda client: client.indices.exists(index=f"{stores.search.prefix}-*", allow_no_indices=False)
    )
    answer = search(SearchRequest(tenant_id=tenant.id, query="hello", customer_id="ann"))
    repaired = stores.verdict(Sink.ELASTICSEARCH, repair=True)

    assert not exists
    assert answer["degraded"] == ["elasticsearch"]
    assert len(answer["data"]) == 1
    assert repaired.agrees
    assert stores.differences() == {}
