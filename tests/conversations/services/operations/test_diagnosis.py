"""`doctor` finds what is wrong, and says what to do."""

import socket
from datetime import timedelta

import pytest
import time_machine
from django.db import connections

from conversations import ids
from conversations.backends import configured
from conversations.inputs import MessageIn
from conversations.models import MirrorEvent
from conversations.services.messages.appends import append_messages
from conversations.services.operations.diagnosis import Level, diagnose
from conversations.services.operations.partitions import default_rows, ensure_partitions
from tests.builders import make_session, make_tenant, say


def troubles(subject):
    return [f for f in diagnose() if f.subject == subject and f.level is not Level.OK]


def test_a_fresh_installation_has_no_trouble_with_its_database(database):
    for subject in ("postgresql", "disk", "clock", "partitions", "mirror", "master keys", "signing key"):
        assert troubles(subject) == []


def test_database_without_room_is_found(database):
    with connections["owner"].cursor() as cursor:
        cursor.execute("RESET ROLE")  # only the login may make event triggers
        cursor.execute(
            "CREATE FUNCTION refuse_as_full() RETURNS event_trigger LANGUAGE plpgsql AS $$"
            " BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        cursor.execute(
            "CREATE EVENT TRIGGER full_disk ON ddl_command_start EXECUTE FUNCTION refuse_as_full()"
        )

    (found,) = troubles("disk")

    assert (found.level, found.detail) == (Level.ERROR, "PostgreSQL has no room left")
    assert troubles("clock") == []  # everything else is still looked at


def test_rows_in_the_default_partition_are_found_and_moved(database):
    tenant = make_tenant()
    long_ago = ids.now().replace(year=2020)
    append_messages(
        tenant_id=tenant.id,
        session_id=make_session(tenant).id,
        given=[MessageIn(role="user", content="old", created_at=long_ago)],
    )
    (found,) = troubles("conversations_message")

    ensure_partitions()

    assert "ensure_partitions" in found.advice
    assert troubles("conversations_message") == []
    assert default_rows()["conversations_message"] == 0


def test_partitions_of_a_new_week_get_a_day_to_be_made(database):
    now = ids.now().replace(hour=0, minute=0)
    monday = now + timedelta(days=7 - now.weekday())
    ensure_partitions(monday - timedelta(hours=1))

    with time_machine.travel(monday + timedelta(hours=1)):
        assert troubles("partitions") == []
    with time_machine.travel(monday + timedelta(days=2)):
        (found,) = troubles("partitions")

    assert "ensure_partitions" in found.advice


def test_a_mirror_that_lags_is_found(database):
    tenant = make_tenant()
    say(tenant, make_session(tenant), "hello")
    MirrorEvent.objects.using("ops").update(created_at=ids.now().replace(year=2025))

    (found,) = troubles("mirror")

    assert "drain_mirror" in found.advice


def test_a_broker_that_is_away_is_found(database, settings):
    settings.BROKER_URL = "redis://127.0.0.1:1/0"

    (found,) = troubles("broker")

    assert found.level is Level.ERROR


@pytest.fixture
def silent_server():
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_store_that_hangs_is_told_in_words_with_the_variable_that_names_it(
    database, settings, silent_server
):
    settings.REDIS_URL = settings.BROKER_URL = f"redis://{silent_server}/0"
    settings.ELASTICSEARCH_URL = settings.MILVUS_URI = f"http://{silent_server}"
    configured.forget_stores()
    try:
        found = {finding.subject: finding for finding in diagnose() if finding.level is Level.ERROR}
    finally:
        configured.forget_stores()

    variables = {
        "redis": "REDIS_URL",
        "broker": "BROKER_URL",
        "elasticsearch": "ELASTICSEARCH_URL",
        "milvus": "MILVUS_URI",
    }
    assert found.keys() >= variables.keys()
    for store, variable in variables.items():
        assert found[store].detail.startswith("no answer")
        assert variable in found[store].advice
