"""What only the real Elasticsearch can show: analysis, settings, blocks, poison, lost indices."""

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from elasticsearch import BadRequestError, Elasticsearch

from conversations.backends.elasticsearch import ElasticsearchStore
from conversations.backends.elasticsearch_bulk import MOST_BYTES, batches, judge, operation
from conversations.backends.values import Change, Kind, Outcome, SearchFilter, StoreUnavailable, Upsert
from conversations.documents import DOCUMENTS, index_body
from conversations.ids import new_id
from tests.conversations.backends.builders import chapter, key, message, removal, session
from tests.conversations.backends.proxies import Answer, Request, http_proxy

MakeStore = Callable[..., ElasticsearchStore]
CANARY = "zebrafinch"


@pytest.fixture
def raw(elasticsearch_url: str) -> Elasticsearch:
    """A client of our own, to look behind the store's back."""
    return Elasticsearch(elasticsearch_url)


def index_of(store: ElasticsearchStore, kind: Kind = Kind.MESSAGES) -> str:
    return f"{store.prefix}-{kind}"


def tokens(raw: Elasticsearch, index: str, field: str, text: str) -> list[str]:
    return [token["token"] for token in raw.indices.analyze(index=index, field=field, text=text)["tokens"]]


# -- mapping ---------------------------------------------------------------------------------------------


def test_turns_are_analysed_by_the_recipe(elasticsearch: ElasticsearchStore, raw: Elasticsearch) -> None:
    index = index_of(elasticsearch)

    assert tokens(raw, index, "context", "Anna's cafés WERE running ＦＵＬＬ") == [
        "anna",
        "cafe",
        "run",
        "full",
    ]
    assert tokens(raw, index, "context", "面霜 and 발송") == ["面霜", "발송"]
    assert tokens(raw, index, "context", "敏感肌肤") == ["敏感", "感肌", "肌肤"]
    assert tokens(raw, index, "context", "what did you just say") == ["say"]


def test_chapters_keep_small_words_that_turns_drop(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch
) -> None:
    index = index_of(elasticsearch, Kind.CHAPTERS)

    assert tokens(raw, index, "text", "what did you just say") == ["just", "say"]


def test_defaults_are_those_of_a_cluster() -> None:
    settings = index_body(Kind.MESSAGES, {})["settings"]["index"]

    assert settings == {
        "number_of_shards": 3,
        "number_of_replicas": 1,
        "refresh_interval": "1s",
        "max_result_window": 10_000,
        "gc_deletes": "1h",
        "similarity": {"default": {"type": "BM25", "k1": 0.9, "b": 0.4}},
    }


def test_settings_are_the_installation_s_own(make_elasticsearch: MakeStore, raw: Elasticsearch) -> None:
    store = make_elasticsearch(
        index_settings={"number_of_shards": 2, "number_of_replicas": 0, "similarity": {}}
    )
    store.ensure_indexes()

    (found,) = raw.indices.get_settings(index=index_of(store)).values()

    assert found["settings"]["index"]["number_of_shards"] == "2"
    assert found["settings"]["index"]["gc_deletes"] == "1h"
    assert found["settings"]["index"]["similarity"]["default"] == {"type": "BM25", "k1": "0.9", "b": "0.4"}


def test_the_schema_changes_with_the_settings(make_elasticsearch: MakeStore) -> None:
    one, same = make_elasticsearch(), make_elasticsearch()
    other = make_elasticsearch(index_settings={"number_of_shards": 5})

    assert one.schema == same.schema != other.schema


def test_unknown_fields_are_refused(elasticsearch: ElasticsearchStore, raw: Elasticsearch) -> None:
    with pytest.raises(BadRequestError, match="strict_dynamic_mapping"):
        raw.index(index=index_of(elasticsearch), routing="t", document={"metadata": {"a": 1}})


def test_a_delete_without_routing_is_an_error(elasticsearch: ElasticsearchStore, raw: Elasticsearch) -> None:
    with pytest.raises(BadRequestError, match="routing_missing"):
        raw.delete(index=index_of(elasticsearch), id="x")


def test_context_is_searched_but_not_kept(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    elasticsearch.apply([message(key(tenant), text="own words", context="own and former words")])
    elasticsearch.count(Kind.MESSAGES)

    (hit,) = raw.search(index=index_of(elasticsearch), query={"match": {"context": "former"}})["hits"]["hits"]

    assert hit["_source"]["text"] == "own words"
    assert "context" not in hit["_source"]


def test_the_library_s_own_writing_is_shut() -> None:
    with pytest.raises(NotImplementedError, match="drain"):
        DOCUMENTS[Kind.MESSAGES]().update([])


# -- judging ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "outcome"),
    [
        ({"index": {"status": 201}}, Outcome.DONE),
        ({"index": {"status": 200}}, Outcome.DONE),
        ({"index": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}}, Outcome.DONE),
        ({"delete": {"status": 404}}, Outcome.DONE),
        ({"delete": {"status": 404, "error": {"type": "index_not_found_exception"}}}, Outcome.RETRY),
        ({"index": {"status": 404, "error": {"type": "index_not_found_exception"}}}, Outcome.RETRY),
        ({"index": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}}, Outcome.RETRY),
        ({"index": {"status": 429, "error": {"type": "cluster_block_exception"}}}, Outcome.RETRY),
        ({"index": {"status": 403, "error": {"type": "cluster_block_exception"}}}, Outcome.RETRY),
        ({"index": {"status": 503, "error": {"type": "unavailable_shards_exception"}}}, Outcome.RETRY),
        ({"index": {"status": 500, "error": {"type": "io_exception"}}}, Outcome.RETRY),
        ({"index": {"status": 504}}, Outcome.RETRY),
        ({"index": {"status": 400, "error": {"type": "document_parsing_exception"}}}, Outcome.REJECTED),
    ],
)
def test_items_are_judged_by_whether_asking_again_helps(item: dict[str, Any], outcome: Outcome) -> None:
    assert judge(item)[0] is outcome


def test_a_poison_document_is_rejected_and_its_neighbours_are_not(
    elasticsearch: ElasticsearchStore, tenant: UUID
) -> None:
    before, poison, after = key(tenant), key(tenant), key(tenant)

    results = elasticsearch.apply(
        [
            message(before),
            message(poison, text="fine", language=CANARY + "x" * 32_767),
            message(after),
        ]
    )

    assert [result.outcome for result in results] == [Outcome.DONE, Outcome.REJECTED, Outcome.DONE]
    assert results[1].detail == "document_parsing_exception illegal_argument_exception field language"
    assert CANARY not in results[1].detail
    assert elasticsearch.present([before, poison, after]) == {before, after}


def test_labels_of_any_length_are_no_poison(elasticsearch: ElasticsearchStore, tenant: UUID) -> None:
    long = "x" * 40_000
    closed = session(
        key(tenant, Kind.SESSIONS), issue_type=long, entities=(long, "parcel"), tools=(long,), intents=(long,)
    )

    assert elasticsearch.apply([closed])[0].outcome is Outcome.DONE


def test_a_full_disk_means_again_later(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    change = message(key(tenant))
    raw.indices.put_settings(
        index=index_of(elasticsearch), settings={"index.blocks.read_only_allow_delete": True}
    )
    (blocked,) = elasticsearch.apply([change])
    raw.indices.put_settings(
        index=index_of(elasticsearch), settings={"index.blocks.read_only_allow_delete": None}
    )

    (after,) = elasticsearch.apply([change])

    assert (blocked.outcome, blocked.detail) == (Outcome.RETRY, "cluster_block_exception")
    assert after.outcome is Outcome.DONE


def test_a_closed_index_means_again_later(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    raw.indices.close(index=index_of(elasticsearch))

    results = elasticsearch.apply([message(key(tenant)), removal(key(tenant), 1)])

    assert [result.outcome for result in results] == [Outcome.RETRY] * 2


def test_batches_stay_below_the_size_of_a_request(tenant: UUID) -> None:
    large = [operation(place, message(key(tenant), "x" * 1_000_000), "i") for place in range(20)]
    small = [operation(place, removal(key(tenant), 1), "i") for place in range(2_500)]

    cut = list(batches(large))

    assert [each for batch in cut for each in batch] == large
    assert all(sum(each.size for each in batch) <= MOST_BYTES for batch in cut)
    assert [len(batch) for batch in batches(small)] == [1_000, 1_000, 500]
    assert list(batches([])) == []


def test_a_batch_larger_than_a_request_arrives_whole(
    make_elasticsearch: MakeStore, elasticsearch_url: str, elasticsearch: ElasticsearchStore, tenant: UUID
) -> None:
    changes = [message(key(tenant), "word " * 60_000) for _ in range(30)]
    bulks = []

    def count(request: Request) -> Answer | None:
        bulks.extend([len(request.body)] * request.path.startswith("/_bulk"))
        return request.forward()

    with http_proxy(elasticsearch_url, count) as url:
        results = make_elasticsearch(url).apply(changes)

    assert {result.outcome for result in results} == {Outcome.DONE}
    assert elasticsearch.present([change.key for change in changes]) == {change.key for change in changes}
    assert len(bulks) > 1
    assert max(bulks) <= MOST_BYTES


# -- lost indices ----------------------------------------------------------------------------------------


def test_without_its_index_a_write_waits_and_makes_none(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    (lost,) = raw.indices.get_alias(name=index_of(elasticsearch))
    raw.indices.delete(index=lost)

    results = elasticsearch.apply([message(key(tenant)), removal(key(tenant), 3)])
    only_removals = elasticsearch.apply([removal(key(tenant), 3)])
    others = elasticsearch.apply([chapter(key(tenant, Kind.CHAPTERS), "x")])

    assert [(result.outcome, result.detail) for result in results + only_removals] == [
        (Outcome.RETRY, "index missing")
    ] * 3
    assert [result.outcome for result in others] == [Outcome.DONE]
    assert not raw.indices.exists(index=f"{index_of(elasticsearch)}*", allow_no_indices=False)


def test_without_its_index_nothing_is_called_absent(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    (lost,) = raw.indices.get_alias(name=index_of(elasticsearch))
    raw.indices.delete(index=lost)
    where = SearchFilter(tenant_id=tenant)

    for ask in (
        lambda: elasticsearch.present([key(tenant)]),
        lambda: elasticsearch.count(Kind.MESSAGES),
        lambda: list(elasticsearch.versions(Kind.MESSAGES, tenant)),
        lambda: list(elasticsearch.day_digests(Kind.MESSAGES, tenant)),
        lambda: elasticsearch.candidates("x", "x", where),
        elasticsearch.ping,
    ):
        elasticsearch.connection.breaker.reset()
        with pytest.raises(StoreUnavailable):
            ask()


def test_a_lost_index_is_made_anew_with_its_mapping(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    (lost,) = raw.indices.get_alias(name=index_of(elasticsearch))
    raw.indices.delete(index=lost)

    made = elasticsearch.ensure_indexes()

    assert made == [lost]
    assert tokens(raw, index_of(elasticsearch), "context", "running") == ["run"]
    assert elasticsearch.apply([message(key(tenant))])[0].outcome is Outcome.DONE
    elasticsearch.ping()


def test_an_index_that_somebody_s_write_made_in_place_of_the_alias_is_replaced(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    (lost,) = raw.indices.get_alias(name=index_of(elasticsearch))
    raw.indices.delete(index=lost)
    raw.index(index=index_of(elasticsearch), document={"wrong": "mapping"})

    results = elasticsearch.apply([message(key(tenant))])
    elasticsearch.ensure_indexes()

    assert results[0].outcome is Outcome.RETRY
    assert elasticsearch.apply([message(key(tenant))])[0].outcome is Outcome.DONE
    assert tokens(raw, index_of(elasticsearch), "context", "running") == ["run"]


@pytest.mark.parametrize("fields", [{}, {"created_at": "2026-03-04T12:00:00Z"}], ids=["timeless", "timed"])
def test_entry_of_somebody_elses_making_is_counted_listed_and_removed(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID, fields: dict[str, str]
) -> None:
    alien = key(tenant)
    entry = {"tenant_id": str(tenant), "text": "phantom", **fields}
    elasticsearch.apply([message(alien, version=7), removal(alien, version=8)])
    raw.index(index=index_of(elasticsearch), id=str(alien), routing=str(tenant), document=entry, refresh=True)

    (digest,) = elasticsearch.day_digests(Kind.MESSAGES, tenant)
    begin = dt.datetime.combine(digest.day, dt.time(), dt.UTC)
    (listed,) = elasticsearch.versions(Kind.MESSAGES, tenant, begin, begin + dt.timedelta(days=1))
    elasticsearch.apply([removal(alien, version=listed.version + 1)])

    assert (digest.count, listed.key) == (1, alien)
    assert elasticsearch.count(Kind.MESSAGES, tenant) == 0


def test_two_that_ensure_at_once_make_one_index(make_elasticsearch: MakeStore, raw: Elasticsearch) -> None:
    stores = [make_elasticsearch() for _ in range(4)]
    start = threading.Barrier(len(stores))

    def ensure(store: ElasticsearchStore) -> None:
        start.wait()
        store.ensure_indexes()

    threads = [threading.Thread(target=ensure, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for kind in Kind:
        assert len(raw.indices.get_alias(name=index_of(stores[0], kind))) == 1


# -- rebuilding ------------------------------------------------------------------------------------------


def test_searches_and_writes_never_miss_during_rebuilds(make_elasticsearch: MakeStore, tenant: UUID) -> None:
    store = make_elasticsearch()
    store.ensure_indexes()
    kept = message(key(tenant), "printer")
    store.apply([kept])
    store.count(Kind.MESSAGES)
    stop = threading.Event()

    def search() -> list[list[UUID]]:
        answers, reader = [], make_elasticsearch()
        while not stop.is_set():
            hits = reader.candidates("printer", "printer", SearchFilter(tenant_id=tenant)).messages
            answers.append([hit.id for hit in hits])
        return answers

    def write() -> list[Upsert]:
        written, writer = [], make_elasticsearch()
        while not stop.is_set():
            changes: list[Change] = [message(key(tenant), "scanner"), removal(key(tenant), 1)]
            while any(result.outcome is not Outcome.DONE for result in writer.apply(changes)):
                pass
            written.append(changes[0])
        return written

    with ThreadPoolExecutor() as threads:
        searching, writing = threads.submit(search), threads.submit(write)
        for _ in range(5):
            store.begin_rebuild(Kind.MESSAGES)
            rows = [held.key for held in store.versions(Kind.MESSAGES, tenant)]
            store.apply_to_rebuild(
                Kind.MESSAGES, [kept, *(message(each, "scanner") for each in rows if each != kept.key)]
            )
            store.finish_rebuild(Kind.MESSAGES)
        stop.set()
        answers, written = searching.result(), writing.result()

    assert len(answers) > 10
    assert all(answer == [kept.key.id] for answer in answers)
    assert len(written) > 10
    assert store.count(Kind.MESSAGES, tenant) == 1 + len(written)


def test_a_rebuild_leaves_one_index(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    raw.indices.create(index=f"{index_of(elasticsearch)}-000000")  # replaced, and then the process died
    raw.index(index=f"{index_of(elasticsearch)}-next", document={"late": "write"})
    elasticsearch.begin_rebuild(Kind.MESSAGES)  # and the process died again
    elasticsearch.begin_rebuild(Kind.MESSAGES)

    made = elasticsearch.finish_rebuild(Kind.MESSAGES)

    assert list(raw.indices.get(index=f"{index_of(elasticsearch)}*")) == [made]


def test_present_and_ranges_look_into_both_indices_of_a_rebuild(
    elasticsearch: ElasticsearchStore, tenant: UUID
) -> None:
    copied = message(key(tenant), version=1)
    elasticsearch.begin_rebuild(Kind.MESSAGES)
    elasticsearch.apply_to_rebuild(Kind.MESSAGES, [copied])

    still_there = elasticsearch.present([copied.key])
    elasticsearch.apply([removal(copied.key, 2)])

    assert still_there == {copied.key}
    assert elasticsearch.present([copied.key]) == set()


def test_session_statistics_are_mapped(
    elasticsearch: ElasticsearchStore, raw: Elasticsearch, tenant: UUID
) -> None:
    elasticsearch.apply(
        [
            session(
                key(tenant, Kind.SESSIONS),
                customer_id=new_id(),
                outlet_id="sg-01",
                intents=("order", "refund"),
                issue_type="late",
                entities=("parcel",),
                tools=("tracker",),
                success=True,
                resolution_seconds=12.5,
            )
        ]
    )
    elasticsearch.count(Kind.SESSIONS)

    answer = raw.search(
        index=index_of(elasticsearch, Kind.SESSIONS),
        size=0,
        aggs={
            "intents": {"terms": {"field": "intents"}},
            "seconds": {"avg": {"field": "resolution_seconds"}},
        },
    )

    assert {bucket["key"] for bucket in answer["aggregations"]["intents"]["buckets"]} == {"order", "refund"}
    assert answer["aggregations"]["seconds"]["value"] == 12.5
