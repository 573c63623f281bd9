"""Elasticsearch away, slow, cut off, overloaded, out of order: nothing lost, nothing late, nobody waits."""

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from conversations.backends import elasticsearch as module
from conversations.backends.breaker import CircuitBreaker
from conversations.backends.elasticsearch import ElasticsearchStore
from conversations.backends.values import Kind, MirroredVersion, Outcome, SearchFilter, StoreUnavailable
from tests.conversations.backends.builders import key, message, removal
from tests.conversations.backends.proxies import Answer, FaultProxy, Request, http_proxy

MakeStore = Callable[..., ElasticsearchStore]
PROMISED = 1.0
SLACK = 1.5  # of a busy machine; what hangs here hangs for three seconds and more


@pytest.fixture
def proxy(elasticsearch_url: str) -> Iterator[FaultProxy]:
    proxy = FaultProxy(elasticsearch_url)
    yield proxy
    proxy.down()


@pytest.fixture
def store(
    elasticsearch: ElasticsearchStore, make_elasticsearch: MakeStore, proxy: FaultProxy
) -> ElasticsearchStore:
    """A store that reaches its server through the proxy and gives it a second chance soon."""
    return make_elasticsearch(proxy.url, breaker=CircuitBreaker("elasticsearch", cooldown=0.2))


def search(store: ElasticsearchStore, tenant: UUID) -> list[UUID]:
    return [hit.id for hit in store.candidates("printer", "x", SearchFilter(tenant_id=tenant)).messages]


def seconds(call: Callable[[], object]) -> float:
    """How long the call took to say that the store is away."""
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call()
    return time.monotonic() - started


# -- the network -----------------------------------------------------------------------------------------


def test_a_refused_connection_is_told_at_once_and_heals(
    store: ElasticsearchStore, proxy: FaultProxy, tenant: UUID
) -> None:
    change = message(key(tenant), "printer")
    proxy.down()
    took = [seconds(lambda: search(store, tenant)), seconds(lambda: store.apply([change]))]
    proxy.up()

    assert max(took) < PROMISED
    assert store.apply([change])[0].outcome is Outcome.DONE


def test_three_failures_open_the_breaker_and_cost_nothing_more(
    store: ElasticsearchStore, proxy: FaultProxy, tenant: UUID
) -> None:
    proxy.black_hole = True
    for _ in range(3):
        assert seconds(lambda: search(store, tenant)) < PROMISED + SLACK

    refused = seconds(lambda: search(store, tenant))
    proxy.heal()
    time.sleep(0.2)

    assert refused < PROMISED / 2
    assert search(store, tenant) == []
    assert not store.connection.breaker.is_open


@pytest.mark.parametrize("fault", ["black_hole", "latency", "trickle"])
def test_a_hanging_server_costs_a_search_a_second(
    store: ElasticsearchStore, proxy: FaultProxy, tenant: UUID, fault: str
) -> None:
    search(store, tenant)
    if fault == "black_hole":
        proxy.black_hole = True
    elif fault == "latency":
        proxy.latency = 3
    else:
        proxy.slice_to, proxy.latency = 1, 0.05

    assert PROMISED * 0.9 < seconds(lambda: search(store, tenant)) < PROMISED + SLACK


def test_a_hanging_server_costs_a_batch_its_limit(
    store: ElasticsearchStore, proxy: FaultProxy, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BULK_SECONDS", 1.5)
    store.apply([message(key(tenant))])
    proxy.latency = 1.0  # the look at the indices gets through, the batch itself does not

    assert seconds(lambda: store.apply([message(key(tenant))])) < 1.5 + SLACK


def test_a_connection_reset_while_idle_is_noticed_and_renewed(
    store: ElasticsearchStore, proxy: FaultProxy, tenant: UUID
) -> None:
    search(store, tenant)
    proxy.reset()

    with contextlib.suppress(StoreUnavailable):  # a dead connection may cost one call
        search(store, tenant)
    assert search(store, tenant) == []


def test_an_answer_cut_anywhere_loses_and_doubles_nothing(
    make_elasticsearch: MakeStore, elasticsearch: ElasticsearchStore, proxy: FaultProxy, tenant: UUID
) -> None:
    changes = [message(key(tenant), "printer", version=number) for number in range(1, 41)]
    whole = 0
    offset = 0
    while True:
        store = make_elasticsearch(proxy.url)
        store.apply([removal(key(tenant), 1)])  # so that only the batch's own answer is cut
        proxy.answered, proxy.cut_after = 0, offset
        try:
            results = store.apply(changes)
        except StoreUnavailable:
            pass
        else:
            assert {result.outcome for result in results} == {Outcome.DONE}
            whole += 1
        proxy.heal()
        if whole:
            break
        assert [result.outcome for result in store.apply(changes)] == [Outcome.DONE] * len(changes)
        offset += 100

    assert offset > 500
    assert set(elasticsearch.versions(Kind.MESSAGES, tenant)) == {
        MirroredVersion(change.key, change.version) for change in changes
    }


# -- the server ------------------------------------------------------------------------------------------


def test_only_the_overloaded_items_are_to_be_sent_again(
    make_elasticsearch: MakeStore, elasticsearch: ElasticsearchStore, elasticsearch_url: str, tenant: UUID
) -> None:
    changes = [message(key(tenant)) for _ in range(5)]

    def overload(request: Request) -> Answer:
        answer = request.forward()
        if request.path.startswith("/_bulk"):
            body = json.loads(answer.body)
            body["items"][2]["index"] = {"status": 429, "error": {"type": "es_rejected_execution_exception"}}
            answer.body = json.dumps(body).encode()
        return answer

    with http_proxy(elasticsearch_url, overload) as url:
        results = make_elasticsearch(url).apply(changes)

    assert [result.outcome for result in results] == [
        Outcome.RETRY if place == 2 else Outcome.DONE for place in range(5)
    ]
    assert results[2].detail == "es_rejected_execution_exception"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 401, 403, 404])
def test_a_refusal_is_passed_on_after_one_request(
    make_elasticsearch: MakeStore, elasticsearch_url: str, tenant: UUID, status: int
) -> None:
    requests = []

    def refuse(request: Request) -> Answer:
        requests.append(request.path)
        return Answer(status, b'{"error": {"type": "busy"}, "status": %d}' % status)

    with http_proxy(elasticsearch_url, refuse) as url:
        store = make_elasticsearch(url)
        for call in (lambda: search(store, tenant), lambda: store.apply([message(key(tenant))]), store.ping):
            store.connection.breaker.reset()
            requests.clear()
            with pytest.raises(StoreUnavailable):
                call()
            assert len(requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"<html>welcome to the gateway</html>",
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"items": []}',
        b'{"items": {}}',
        b'{"responses": [{"status": 200}]}',
        b'{"responses": [{"status": 200}, 7]}',
        b'{"responses": 3}',
        b'{"items": [{}, {}, {}]}',
        b'{"items": [{"index": {}}, {"index": {}}, {"index": {}}]}',
        b"\xff\xfe",
    ],
)
def test_an_answer_that_is_none_means_away(
    make_elasticsearch: MakeStore,
    elasticsearch: ElasticsearchStore,
    elasticsearch_url: str,
    tenant: UUID,
    body: bytes,
) -> None:
    def babble(request: Request) -> Answer:
        return request.forward() if request.method == "GET" else Answer(200, body)

    with http_proxy(elasticsearch_url, babble) as url:
        store = make_elasticsearch(url)
        for call in (lambda: search(store, tenant), lambda: store.apply([message(key(tenant))] * 3)):
            with pytest.raises(StoreUnavailable):
                call()


def test_a_server_that_hangs_up_after_doing_the_work_does_no_harm(
    make_elasticsearch: MakeStore, elasticsearch: ElasticsearchStore, elasticsearch_url: str, tenant: UUID
) -> None:
    changes = [message(key(tenant)), removal(key(tenant), 3)]

    def hang_up(request: Request) -> Answer | None:
        answer = request.forward()
        return None if request.path.startswith("/_bulk") else answer

    with http_proxy(elasticsearch_url, hang_up) as url, pytest.raises(StoreUnavailable):
        make_elasticsearch(url).apply(changes)

    assert [result.outcome for result in elasticsearch.apply(changes)] == [Outcome.DONE] * 2
    assert elasticsearch.present([change.key for change in changes]) == {changes[0].key}


def test_requests_that_overtake_each_other_leave_the_newest(
    make_elasticsearch: MakeStore, elasticsearch: ElasticsearchStore, elasticsearch_url: str, tenant: UUID
) -> None:
    shuffled = random.Random(7)
    lock = threading.Lock()

    def delay(request: Request) -> Answer:
        with lock:
            pause = shuffled.random() * 0.01
        time.sleep(pause * request.path.startswith("/_bulk"))
        return request.forward()

    keys = [key(tenant) for _ in range(20)]
    last = {each: 50 + place for place, each in enumerate(keys)}
    writes = [
        message(each, version=version) for each in keys for version in range(last[each] - 49, last[each])
    ]
    # Half of them end written, half removed.
    writes += [
        message(each, version=last[each]) if place % 2 else removal(each, last[each])
        for place, each in enumerate(keys)
    ]
    shuffled.shuffle(writes)

    with http_proxy(elasticsearch_url, delay) as url, ThreadPoolExecutor(8) as threads:
        store = make_elasticsearch(url)
        results = list(threads.map(lambda change: store.apply([change])[0], writes))

    assert {result.outcome for result in results} == {Outcome.DONE}
    assert len(results) == 1_000
    assert set(elasticsearch.versions(Kind.MESSAGES, tenant)) == {
        MirroredVersion(each, last[each]) for place, each in enumerate(keys) if place % 2
    }
