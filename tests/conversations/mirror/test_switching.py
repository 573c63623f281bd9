"""Switching stores on and off: nothing is missing afterwards, nothing is left over."""

import socket
import threading
import time

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from conversations.backends.configured import forget_stores
from conversations.enums import Reason, Sink
from conversations.mirror.switching import ensure_sinks
from conversations.models import Message, MirrorEvent, MirrorSink
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say
from tests.conversations.mirror.conftest import as_owner, drain_all, events, quiet


@pytest.fixture
def switch(settings):
    """Gives a setting another value, as a restart would."""

    def to(**values):
        for name, value in values.items():
            setattr(settings, name, value)
        forget_stores()
        return {ensured.sink: ensured for ensured in ensure_sinks(quiet)}

    return to


def test_switching_on_brings_what_was_there_before(stores, switch, elasticsearch):
    tenant = make_tenant()
    switch(ELASTICSEARCH_URL="")
    say(tenant, make_session(tenant, customer_id="ann"), "one", "two")

    ensured = switch(ELASTICSEARCH_URL=elasticsearch)[Sink.ELASTICSEARCH]
    waiting = MirrorEvent.objects.using("ops").filter(sink=Sink.ELASTICSEARCH, reason=Reason.REBUILD).count()
    drain_all()

    assert ensured.enqueued == waiting == 3  # two messages and their session
    assert stores.differences() == {}


def test_switching_on_again_removes_what_went_meanwhile(stores, switch, elasticsearch):
    tenant = make_tenant()
    ids = message_ids(say(tenant, make_session(tenant), "one", "two"))
    drain_all()
    switch(ELASTICSEARCH_URL="")
    with tenant_scope(tenant.id):
        Message.objects.filter(id=ids[0]).delete()

    switch(ELASTICSEARCH_URL=elasticsearch)
    drain_all()

    assert stores.differences() == {}


def test_switching_off_forgets_the_events_and_writes_no_more(stores, switch):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "one")

    switch(ELASTICSEARCH_URL="")
    say(tenant, session, "two")

    assert events(Sink.ELASTICSEARCH) == 0
    assert events(Sink.MILVUS) == 2


def test_ensuring_twice_does_nothing(stores, switch):
    tenant = make_tenant()
    say(tenant, make_session(tenant), "one")
    drain_all()

    ensured = switch()

    assert all(each.made == [] and each.enqueued == 0 and not each.rebuilt for each in ensured.values())
    assert events() == 0


def test_an_unreachable_store_is_on_and_catches_up(lexical_only, switch, elasticsearch_url, settings):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "before")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"

    settings.ELASTICSEARCH_PREFIX += "-away"
    ensured = switch(ELASTICSEARCH_URL=nobody)[Sink.ELASTICSEARCH]
    say(tenant, session, "while away")

    assert ensured.unreachable
    assert events(Sink.ELASTICSEARCH) == 3
    switch(ELASTICSEARCH_URL=elasticsearch_url)
    try:
        drain_all()
        assert lexical_only.differences() == {}
    finally:
        lexical_only.search.drop_indexes()


def test_the_command_says_which_store_was_not_reached(lexical_only, settings):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.ELASTICSEARCH_URL = f"http://127.0.0.1:{listener.getsockname()[1]}"
    forget_stores()

    with pytest.raises(CommandError, match="Elasticsearch"):
        call_command("ensure_indexes", "--json")


def test_a_row_of_a_transaction_that_began_before_the_switch_is_not_missed(stores, switch, elasticsearch):
    tenant = make_tenant()
    session = make_session(tenant)
    switch(ELASTICSEARCH_URL="")
    drain_all()
    written, finish = threading.Event(), threading.Event()

    def write_slowly():
        try:
            with tenant_scope(tenant.id):
                say(tenant, session, "written under the old switch")
                written.set()
                finish.wait(30)
        finally:
            connections.close_all()

    writer = threading.Thread(target=write_slowly)
    writer.start()
    written.wait(30)
    threading.Timer(0.5, finish.set).start()
    began = time.monotonic()
    switch(ELASTICSEARCH_URL=elasticsearch)

    assert time.monotonic() - began > 0.4
    writer.join()
    drain_all()
    assert stores.differences() == {}


def test_changed_index_settings_rebuild_the_indices(stores, switch, settings):
    tenant = make_tenant()
    say(tenant, make_session(tenant), "one", "two")
    drain_all()
    changed = {**settings.ELASTICSEARCH_INDEX_SETTINGS, "refresh_interval": "5s"}

    first = switch(ELASTICSEARCH_INDEX_SETTINGS=changed)[Sink.ELASTICSEARCH]
    second = switch()[Sink.ELASTICSEARCH]

    assert (first.rebuilt, second.rebuilt) == (True, False)
    assert stores.differences() == {}


def test_a_profile_that_the_settings_dropped_is_left_for_the_first_one(stores, switch):
    tenant = make_tenant()
    say(tenant, make_session(tenant), "one", "two")
    drain_all()

    ensured = switch(EMBEDDING_PROFILES=["hash:test:64"])[Sink.MILVUS]
    drain_all()

    assert ensured.made
    assert MirrorSink.objects.using("ops").get(id=Sink.MILVUS).schema == "hash:test:64"
    assert stores.vectors.dimension == 64
    assert stores.differences() == {}


def test_events_of_a_store_that_this_process_does_not_know_are_kept(stores, settings):
    tenant = make_tenant()
    say(tenant, make_session(tenant), "one")
    as_owner("DELETE FROM conversations_mirrorevent WHERE sink <> %s", Sink.ELASTICSEARCH)
    settings.ELASTICSEARCH_URL = ""
    forget_stores()

    drain_all()

    assert events(Sink.ELASTICSEARCH) == 2
