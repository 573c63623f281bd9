"""Rebuilding a store beside itself while writes and searches go on."""

import io
import threading
import time

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from conversations.backends.configured import forget_stores, vector_store, window_store
from conversations.backends.embedders import EmbeddingProfile
from conversations.backends.values import Kind, StoreUnavailable, WindowKey
from conversations.enums import Sink
from conversations.locking import lock_number
from conversations.mirror import rebuilding
from conversations.mirror.drain import drain
from conversations.mirror.profiles import read_message_profiles
from conversations.mirror.rebuilding import RebuildFailed, rebuild_search
from conversations.mirror.switching import ensure_sinks
from conversations.models import Message
from conversations.services.recall.search import SearchRequest, search
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say
from tests.conversations.mirror.conftest import as_owner, drain_all, events, quiet


@pytest.fixture
def tenant(stores):
    return make_tenant()


def run(*arguments):
    output = io.StringIO()
    call_command(*arguments, "--json", stdout=output)
    return msgspec.json.decode(output.getvalue())


@pytest.fixture
def going_on(stores, tenant, monkeypatch):
    """Messages are written, hidden and searched for, and the drain follows, until the test is done."""
    for module in ("elasticsearch", "milvus"):  # a busy machine may be slow, but nothing may be missing
        monkeypatch.setattr(f"conversations.backends.{module}.SEARCH_SECONDS", 5.0)
    session = make_session(tenant, customer_id="ann")
    ids = message_ids(say(tenant, session, *[f"turn {n}" for n in range(300)]))
    drain_all()
    stop, failures = threading.Event(), []

    def write():
        for n in range(10_000):
            if stop.is_set():
                return
            say(tenant, session, f"later {n}")
            with tenant_scope(tenant.id):
                Message.objects.filter(id=ids[n % 300]).update(hidden_at=timezone.now())
            time.sleep(0.01)

    def follow():
        while not stop.is_set():
            drain(seconds=1)
            time.sleep(0.02)

    def look():
        while not stop.is_set():
            answer = search(SearchRequest(tenant_id=tenant.id, query="turn later", customer_id="ann"))
            if answer["degraded"] or not answer["data"]:
                failures.append(answer["degraded"])
            time.sleep(0.05)

    def closing(work):
        try:
            work()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=closing, args=(work,)) for work in (write, follow, look)]
    for thread in threads:
        thread.start()

    def finish():
        stop.set()
        for thread in threads:
            thread.join()
        drain_all()
        return failures

    yield finish
    finish()


@pytest.mark.parametrize("store", ["elasticsearch", "milvus"])
def test_nothing_is_missing_after_a_rebuild_among_writes_and_searches(stores, going_on, store):
    report = run("rebuild_index", "--store", store)

    assert going_on() == []
    assert report["store"] == store
    assert report["rows"] > 200
    assert report["refused"] == 0
    assert stores.differences() == {}


def test_a_rebuild_leaves_out_what_the_store_should_not_have(stores, tenant):
    ids = message_ids(say(tenant, make_session(tenant), "one", "two"))
    drain_all()
    as_owner("ALTER TABLE conversations_message DISABLE TRIGGER USER")
    as_owner("DELETE FROM conversations_message WHERE id = %s", ids[0])
    as_owner("ALTER TABLE conversations_message ENABLE TRIGGER USER")

    for store in ("elasticsearch", "milvus"):
        run("rebuild_index", "--store", store)

    assert stores.search.count(Kind.MESSAGES, tenant.id) == 1
    assert stores.vectors.count(Kind.MESSAGES, tenant.id) == 1


def test_a_rebuild_that_fails_switches_nothing(stores, tenant, elasticsearch, settings, monkeypatch):
    say(tenant, make_session(tenant), "one")
    drain_all()
    monkeypatch.setattr(rebuilding, "PATIENCE", 0.5)

    def refuse(kind, changes):
        raise StoreUnavailable("elasticsearch", "out of room")

    monkeypatch.setattr(stores.search, "apply_to_rebuild", refuse)
    with pytest.raises(RebuildFailed, match="out of room"):
        rebuild_search(stores.search, quiet)

    assert stores.search.count(Kind.MESSAGES, tenant.id) == 1
    assert stores.differences() == {}


def test_two_rebuilds_of_a_store_do_not_meet(stores):
    other = connections["ops"].copy("other")
    try:
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_lock(%s)", [lock_number(rebuilding.REBUILD, Sink.ELASTICSEARCH.name)]
            )

        with pytest.raises(CommandError, match="already"):
            call_command("rebuild_index", "--store", "elasticsearch")
    finally:
        other.close()


def test_rows_that_a_rebuild_was_refused_wait_in_the_outbox(stores, tenant):
    session = make_session(tenant)
    drain_all()
    as_owner(
        'UPDATE conversations_session SET outcome = \'{"resolution_seconds": "soon"}\' WHERE id = %s',
        session.id,
    )
    as_owner("DELETE FROM conversations_mirrorevent")

    report = run("rebuild_index", "--store", "elasticsearch")

    assert report["refused"] == 1
    assert events(Sink.ELASTICSEARCH) == 1


def test_one_tenant_is_sent_anew_where_it_is(stores, tenant):
    say(tenant, make_session(tenant), "one", "two")
    drain_all()
    as_owner("DELETE FROM conversations_mirrorevent")
    stores.search.remove_range(Kind.MESSAGES, rebuilding.ALL_IDS, tenant.id)
    before = stores.verdict(Sink.ELASTICSEARCH).missing

    run("rebuild_index", "--store", "elasticsearch", "--tenant", "acme")

    assert before == 2
    assert stores.verdict(Sink.ELASTICSEARCH).agrees


def test_windows_are_filled_for_sessions_in_use(stores, tenant, redis_server, settings):
    settings.REDIS_URL = redis_server
    forget_stores()
    fresh, old = make_session(tenant, customer_id="ann"), make_session(tenant, customer_id="bob")
    say(tenant, fresh, "hello")
    say(tenant, old, "long ago")
    as_owner(
        "UPDATE conversations_session SET last_message_at = now() - interval '2 hours' WHERE id = %s", old.id
    )
    redis = window_store()
    for session in (fresh, old):
        redis.forget(WindowKey(tenant.id, session.id))

    report = run("rebuild_index", "--store", "window")

    assert report["rows"] == 1
    assert {key.session_id for key in redis.keys(tenant.id)} == {fresh.id}


def test_a_store_that_is_off_cannot_be_rebuilt(lexical_only):
    for store in ("elasticsearch", "milvus"):
        with pytest.raises(CommandError, match="switched off"):
            call_command("rebuild_index", "--store", store)


@pytest.fixture
def two_profiles(stores, settings):
    settings.EMBEDDING_PROFILES = ["wordllama:l2_supercat:256", "hash:test:64"]
    forget_stores()
    ensure_sinks(quiet)
    yield
    for profile in settings.EMBEDDING_PROFILES:
        vector_store(EmbeddingProfile.parse(profile)).drop()


def test_reembedding_moves_messages_to_another_profile_and_removes_the_old_vectors(
    stores, tenant, two_profiles
):
    say(tenant, make_session(tenant, customer_id="ann"), "oolong tea", "green paint")
    drain_all()

    report = run("reembed", "--profile", "hash:test:64")
    new, old = EmbeddingProfile.parse("hash:test:64"), EmbeddingProfile.parse("wordllama:l2_supercat:256")
    answer = search(SearchRequest(tenant_id=tenant.id, query="oolong", customer_id="ann", mode="vector"))

    assert report["profile"] == "hash:test:64"
    assert read_message_profiles().served == new
    assert vector_store(new).count(Kind.MESSAGES, tenant.id) == 2
    assert vector_store(old).count(Kind.MESSAGES, tenant.id) == 0
    assert answer["data"][0]["message"]["content"] == "oolong tea"
    assert stores.differences() == {}


def test_reembedding_among_writes_misses_nothing(stores, going_on, two_profiles):
    run("reembed", "--profile", "hash:test:64")

    going_on()
    assert stores.differences() == {}


def test_reembedding_with_the_profile_in_use_makes_its_collection_anew(stores, tenant, two_profiles):
    say(tenant, make_session(tenant), "one")
    drain_all()

    run("reembed", "--profile", "wordllama:l2_supercat:256")

    assert stores.differences() == {}


def test_a_profile_that_the_settings_do_not_name_is_refused(stores):
    with pytest.raises(CommandError, match="EMBEDDING_PROFILES"):
        call_command("reembed", "--profile", "hash:other:64")
