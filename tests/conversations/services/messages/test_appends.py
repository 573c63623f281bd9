"""The hot path: few statements, gapless positions, one copy of everything, whoever comes at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, connections

from conversations import crypto, ids, keyring
from conversations.exceptions import NotFound, SealBroken
from conversations.inputs import MessageIn
from conversations.models import DataKey, Message, MirrorEvent, Session
from conversations.services.messages import appends
from conversations.services.messages.appends import append_messages
from conversations.services.messages.contents import unseal_messages
from conversations.services.sessions import name_customer
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, say


@pytest.fixture
def statements(monkeypatch):
    """Every statement that the append sends, the tenant's setting included."""
    sent: list[str] = []
    real = appends.execute

    def counted(query, values):
        sent.append(query)
        return real(query, values)

    monkeypatch.setattr(appends, "execute", counted)

    def run(work):
        sent.clear()
        with connection.execute_wrapper(lambda run, sql, *rest: (sent.append(sql), run(sql, *rest))[1]):
            work()
        return [sql for sql in sent if "SAVEPOINT" not in sql]

    return run


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_the_first_append_takes_two_statements_however_many_and_the_next_one(database, statements, count):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")

    first = statements(lambda: say(tenant, session, *["hello"] * count))
    second = statements(lambda: say(tenant, session, *["hello"] * count))

    assert (len(first), len(second)) == (2, 1)


def test_appends_leave_the_indexes_of_the_sessions_row_alone(database):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")
    say(tenant, session, "the first of the hour")

    for _ in range(20):
        say(tenant, session, "hello")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'conversations_session'"
        )
        updated, hot = cursor.fetchone()

    assert updated >= 20
    assert updated - hot <= 2  # one for the hour's first, one should the hour turn


def test_an_append_with_external_ids_takes_three(database, statements):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")

    sent = statements(lambda: say(tenant, session, "hello", external_id="m1"))

    assert len(sent) == 3


def test_positions_are_gapless_when_many_append_at_once(database):
    tenant = make_tenant()
    session = make_session(tenant)

    def append(number):
        try:
            return say(tenant, session, *[f"{number}-{i}" for i in range(number % 3 + 1)]).messages
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        given = [message["position"] for messages in pool.map(append, range(40)) for message in messages]

    assert sorted(given) == list(range(1, len(given) + 1))
    row = Session.objects.using("ops").get(id=session.id)
    assert (row.last_position, row.message_count) == (len(given), len(given))


def test_the_same_external_id_at_once_is_stored_once(database):
    tenant = make_tenant()
    session = make_session(tenant)

    def append(_):
        try:
            return say(tenant, session, "hello", external_id="m1").messages[0]["id"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        ids = {UUID(str(found)) for found in pool.map(append, range(24))}

    assert len(ids) == 1
    assert Message.objects.using("ops").count() == 1


def test_time_follows_position_in_a_session(database):
    tenant = make_tenant()
    session = make_session(tenant)
    for _ in range(20):
        say(tenant, session, "a", "b", "c")

    rows = list(Message.objects.using("ops").order_by("id").values_list("position", flat=True))

    assert rows == list(range(1, 61))


def test_an_append_at_once_is_stored_for_the_customer_of_now(database):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "who is there?")
    with tenant_scope(tenant.id):
        name_customer(Session.objects.for_tenant(tenant.id).get(id=session.id), "ann")

    (answer,) = say(tenant, session, "it is ann").messages

    assert (answer["customer_id"], answer["position"]) == ("ann", 2)
    row = Message.objects.using("ops").get(id=answer["id"])
    owner = DataKey.objects.using("ops").get(id=crypto.key_id(bytes(row.sealed)))
    assert owner.customer_id == row.customer_id is not None


def test_an_append_at_once_to_a_session_that_was_deleted_is_refused(database):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "hello")
    Session.objects.using("ops").filter(id=session.id).update(hidden_at=ids.now())

    with pytest.raises(NotFound):
        say(tenant, session, "again")

    assert Session.objects.using("ops").get(id=session.id).last_position == 1


def test_an_append_at_once_waits_for_a_clock_that_is_ahead(database):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "hello")
    ahead = ids.now() + timedelta(seconds=1)
    Session.objects.using("ops").filter(id=session.id).update(last_message_at=ahead)

    (answer,) = say(tenant, session, "again").messages

    assert answer["position"] == 2
    assert Session.objects.using("ops").get(id=session.id).last_message_at == ahead


def test_an_append_in_a_scope_that_fails_leaves_nothing_the_second_time_either(database):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "hello")

    with pytest.raises(RuntimeError), tenant_scope(tenant.id):
        say(tenant, session, "again")
        raise RuntimeError

    assert Session.objects.using("ops").get(id=session.id).last_position == 1


def test_an_append_that_fails_leaves_nothing(database):
    tenant = make_tenant()
    session = make_session(tenant)
    MirrorEvent.objects.using("ops").all().delete()

    with pytest.raises(RuntimeError), tenant_scope(tenant.id):
        append_messages(
            tenant_id=tenant.id, session_id=session.id, given=[MessageIn(role="user", content="x")]
        )
        raise RuntimeError

    assert Message.objects.using("ops").count() == 0
    assert MirrorEvent.objects.using("ops").count() == 0
    assert Session.objects.using("ops").get(id=session.id).last_position == 0


def test_the_trigger_writes_one_event_for_each_message_and_sink(database):
    tenant = make_tenant()
    session = make_session(tenant)
    MirrorEvent.objects.using("ops").all().delete()

    say(tenant, session, "a", "b")

    events = MirrorEvent.objects.using("ops").values_list("sink", "entity", "entity_version")
    assert sorted((sink, entity) for sink, entity, _ in events) == [(1, 1), (1, 1)]
    versions = set(Message.objects.using("ops").values_list("row_version", flat=True))
    assert {version for _, _, version in events} == versions


def test_the_original_is_sealed_under_the_customers_key_and_bound_to_its_row(database):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")
    first, second = (
        m["id"] for m in say(tenant, session, "my card is 4111 1111 1111 1111", "other").messages
    )

    rows = {row.id: row for row in Message.objects.using("ops").all()}
    with tenant_scope(tenant.id):
        opened = unseal_messages(tenant.id, [(first, bytes(rows[first].sealed))])
        with pytest.raises(SealBroken):
            unseal_messages(tenant.id, [(second, bytes(rows[first].sealed))])

    assert opened == [("my card is 4111 1111 1111 1111", None)]
    assert b"4111" not in bytes(rows[first].sealed)
    assert "4111" not in rows[first].scrubbed


def test_the_same_person_keeps_one_placeholder(database):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "I am ann@example.com", "yes, ann@example.com", "not bob@example.com")

    first, second, third = (
        Message.objects.using("ops").order_by("position").values_list("scrubbed", flat=True)
    )

    assert first.split()[-1] == second.split()[-1] != third.split()[-1]


def test_keys_are_forgotten_after_their_life(database):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")
    say(tenant, session, "hello")

    keyring.forget()

    assert say(tenant, session, "again").messages[0]["position"] == 2


def test_an_unknown_session_is_not_found(database):
    tenant = make_tenant()

    with pytest.raises(NotFound):
        append_messages(
            tenant_id=tenant.id, session_id=UUID(int=7), given=[MessageIn(role="user", content="x")]
        )
