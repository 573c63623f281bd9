"""Partitions are made while others read and write."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from conversations import ids
from conversations.inputs import MessageIn
from conversations.models import Message
from conversations.services.messages.appends import append_messages
from conversations.services.operations.partitions import default_rows, ensure_partitions
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant
from tests.waiting import eventually


@pytest.fixture
def strays(database):
    """A tenant whose messages lie in DEFAULT, and the number of them."""
    tenant = make_tenant()
    session = make_session(tenant)
    old = [MessageIn(role="user", content="old", created_at=ids.now().replace(year=2020)) for _ in range(3)]
    append_messages(tenant_id=tenant.id, session_id=session.id, given=old)
    return tenant


def count_as_app(tenant):
    try:
        with tenant_scope(tenant.id):
            return Message.objects.for_tenant(tenant.id).count()
    finally:
        connection.close()


def waiting_for_locks():
    with connections["ops"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND "
            "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return cursor.fetchone()[0]


def test_who_reads_while_rows_move_finds_them_all(strays):
    """Otherwise a drain takes them for deleted, and takes them out of the stores."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(using="owner"):
            made = ensure_partitions()
            reader = pool.submit(count_as_app, strays)
            eventually(lambda: waiting_for_locks() == 1)

        assert any("message_2020" in name for name in made)
        assert reader.result() == 3


def test_partition_waits_for_who_is_reading(strays):
    with ThreadPoolExecutor(1) as pool:
        with tenant_scope(strays.id):
            assert Message.objects.for_tenant(strays.id).count() == 3
            maker = pool.submit(ensure_partitions)
            eventually(lambda: waiting_for_locks() == 1)
            eventually(lambda: waiting_for_locks() == 0)  # it gave way

        assert any("message_2020" in name for name in maker.result())
    assert default_rows()["conversations_message"] == 0
