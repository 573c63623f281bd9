"""Every way of writing leaves its events, in the transaction that wrote."""

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from conversations.enums import Entity, Sink
from conversations.ids import new_ids, now
from conversations.mirror.drain import drain_sink
from conversations.models import Memory, Message, MirrorEvent, Session
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say
from tests.conversations.mirror.conftest import as_owner, events


@pytest.fixture
def talk(lexical_only):
    """A session of three messages, with nothing waiting."""
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")
    ids = message_ids(say(tenant, session, "one", "two", "three"))
    as_owner("DELETE FROM conversations_mirrorevent")
    return tenant, session, ids


def waiting():
    return set(
        MirrorEvent.objects.using("ops").filter(entity=Entity.MESSAGE).values_list("entity_id", flat=True)
    )


def by_bulk_create(talk):
    rows = list(Message.objects.filter(id__in=talk[2]))
    at = now()
    for row, row.id in zip(rows, new_ids(at, len(rows)), strict=True):
        row.position, row.created_at = row.position + 3, at
    Message.objects.bulk_create(rows)
    return {row.id for row in rows}


def by_save(talk):
    row = Message.objects.get(id=talk[2][0])
    row.intent = "greeting"
    row.save(update_fields=["intent"])
    return {row.id}


def by_update(talk):
    Message.objects.filter(id__in=talk[2]).update(intent="greeting")
    return set(talk[2])


def by_bulk_update(talk):
    rows = list(Message.objects.filter(id__in=talk[2][:2]))
    for row in rows:
        row.metadata = {"a": 1}
    Message.objects.bulk_update(rows, ["metadata"])
    return {row.id for row in rows}


def by_raw_sql(talk):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_message SET intent = 'x' WHERE id = ANY (%s)", [talk[2]])
    return set(talk[2])


def by_delete(talk):
    Message.objects.filter(id=talk[2][2]).delete()
    return {talk[2][2]}


def by_raw_delete(talk):
    found = Message.objects.filter(id=talk[2][2])
    found._raw_delete(found.db)
    return {talk[2][2]}


@pytest.mark.parametrize(
    "write",
    [
        by_bulk_create,
        by_save,
        by_update,
        by_bulk_update,
        by_raw_sql,
        by_delete,
        by_raw_delete,
    ],
)
def test_every_way_of_writing_leaves_an_event_for_each_row(talk, write):
    with tenant_scope(talk[0].id):
        written = write(talk)

    assert waiting() >= written


def test_a_change_that_no_mirror_shows_leaves_no_event(talk):
    tenant, _, ids = talk

    with tenant_scope(tenant.id):
        Message.objects.filter(id__in=ids).update(turn_id="t1")

    assert waiting() == set()


def test_a_write_that_is_rolled_back_leaves_no_event(talk):
    tenant, session, _ = talk

    with pytest.raises(RuntimeError), transaction.atomic():
        say(tenant, session, "never said")
        raise RuntimeError

    assert events() == 0


def test_hiding_a_message_makes_its_successors_and_its_chapter_due(talk):
    tenant, session, ids = talk

    with tenant_scope(tenant.id):
        Message.objects.filter(id=ids[0]).update(hidden_at=timezone.now())

    chapters = MirrorEvent.objects.using("ops").filter(entity=Entity.CHAPTERS)
    assert waiting() == set(ids)
    assert [event.entity_id for event in chapters] == [session.id]


def test_a_deleted_row_stored_again_stands_above_its_tombstone(talk):
    tenant, _, ids = talk
    with tenant_scope(tenant.id):
        row = Message.objects.get(id=ids[2])
        Message.objects.filter(id=row.id).delete()
    gone = MirrorEvent.objects.using("ops").filter(entity_id=row.id).latest("id").entity_version

    fields = {field.attname: getattr(row, field.attname) for field in Message._meta.concrete_fields}
    del fields["row_version"]
    with tenant_scope(tenant.id):
        Message.objects.bulk_create([Message(**fields)])

    assert MirrorEvent.objects.using("ops").filter(entity_id=row.id).latest("id").entity_version > gone


def test_events_are_written_for_sinks_that_are_on_and_show_the_entity(talk):
    tenant, session, _ = talk
    as_owner("UPDATE conversations_mirrorsink SET enabled = true")

    with tenant_scope(tenant.id):
        Session.objects.filter(id=session.id).update(channel="web")
        Memory.objects.create(tenant=tenant, sealed=b"", scrubbed="x", features=b"", document="", kind="fact")

    found = set(MirrorEvent.objects.using("ops").values_list("entity", "sink"))
    assert found == {
        (Entity.SESSION, Sink.ELASTICSEARCH),
        (Entity.MEMORY, Sink.ELASTICSEARCH),
        (Entity.MEMORY, Sink.MILVUS),
    }


def test_no_row_is_skipped_when_event_ids_commit_out_of_order(talk):
    """An event with a lower id may appear after a higher one was followed and forgotten."""
    tenant = talk[0]
    slow = connections["ops"].copy("slow")
    try:
        slow.set_autocommit(False)
        with slow.cursor() as cursor:
            cursor.execute(
                "UPDATE conversations_message SET metadata = '{\"a\": 1}' WHERE id = %s", [talk[2][0]]
            )
            with tenant_scope(tenant.id):
                Message.objects.filter(id=talk[2][1]).update(metadata={"a": 2})
            first = drain_sink(Sink.LEXICAL).done
        slow.commit()
        second = drain_sink(Sink.LEXICAL).done
    finally:
        slow.close()

    assert (first, second) == (1, 1)
    assert events(Sink.LEXICAL) == 0
