"""What the stores hold after the record has changed: real Elasticsearch, real Milvus, real search tables."""

import pytest
from django.utils import timezone

from conversations.backends.values import Kind, MirrorKey
from conversations.enums import Sink
from conversations.inputs import SessionPatch
from conversations.mirror.drain import drain, drain_sink
from conversations.models import ChapterIndex, Memory, Message, MessageIndex, MirrorEvent, Session
from conversations.services.sessions import update_session
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say
from tests.conversations.mirror.conftest import as_owner, drain_all, events, make_due

SET_SECONDS = """
    UPDATE conversations_session SET outcome = jsonb_build_object('resolution_seconds', %s) WHERE id = %s
"""


@pytest.fixture
def tenant(stores):
    return make_tenant()


def source_of(stores, key):
    """A document as Elasticsearch has it; None where it has none."""
    stores.search.count(key.kind, key.tenant_id)  # refreshes
    found = stores.search.connection.ask(
        10,
        lambda client: client.search(
            index=f"{stores.search.prefix}-{key.kind}", query={"ids": {"values": [str(key)]}}
        ),
    )["hits"]["hits"]
    return found[0]["_source"] if found else None


def chapter_text(stores, tenant, session, part=0):
    document = source_of(stores, MirrorKey(Kind.CHAPTERS, tenant.id, session.id, part))
    return document and document["text"]


def words_indexed(message_id):
    return MessageIndex.objects.using("ops").values_list("context", flat=True).get(message_id=message_id)


def test_everything_said_reaches_every_store(stores, tenant):
    session = make_session(tenant, customer_id="ann", language="en")
    say(tenant, session, *[f"turn number {n}" for n in range(1, 121)])

    drain_all()

    assert events() == 0
    assert stores.search.count(Kind.MESSAGES, tenant.id) == 120
    assert stores.search.count(Kind.CHAPTERS, tenant.id) == 3
    assert stores.vectors.count(Kind.MESSAGES, tenant.id) == 120
    assert stores.differences() == {}


def test_draining_the_same_events_twice_changes_nothing(stores, tenant):
    ids = message_ids(say(tenant, make_session(tenant), "one", "two", "three"))
    rows = list(MirrorEvent.objects.using("ops").all())
    drain_all()
    before = source_of(stores, MirrorKey(Kind.MESSAGES, tenant.id, ids[2]))

    MirrorEvent.objects.using("owner").bulk_create(rows)
    drain_all()

    assert source_of(stores, MirrorKey(Kind.MESSAGES, tenant.id, ids[2])) == before
    assert stores.differences() == {}


def test_many_changes_of_a_row_are_one_look_at_it(stores, tenant):
    (message_id,) = message_ids(say(tenant, make_session(tenant), "one"))
    for intent in "abc":
        with tenant_scope(tenant.id):
            Message.objects.filter(id=message_id).update(intent=intent)

    drained = drain_sink(Sink.MILVUS)

    assert (drained.done, stores.vectors.count(Kind.MESSAGES, tenant.id)) == (4, 1)


def test_a_hidden_message_leaves_every_store_and_its_successors_forget_its_words(stores, tenant):
    session = make_session(tenant, customer_id="ann")
    ids = message_ids(say(tenant, session, "zebra", "lion", "tiger", "panther"))
    drain_all()
    assert "zebra" in words_indexed(ids[2])

    with tenant_scope(tenant.id):
        Message.objects.filter(id=ids[0]).update(hidden_at=timezone.now())
    drain_all()

    keys = [MirrorKey(Kind.MESSAGES, tenant.id, message_id) for message_id in ids]
    assert stores.search.present(keys) == set(keys[1:])
    assert stores.vectors.present(keys) == set(keys[1:])
    assert not MessageIndex.objects.using("ops").filter(message_id=ids[0]).exists()
    assert "zebra" not in words_indexed(ids[2])
    assert "zebra" not in chapter_text(stores, tenant, session)
    assert "zebra" not in ChapterIndex.objects.using("ops").values_list("document", flat=True).get()
    assert stores.differences() == {}


def test_the_last_message_of_a_chapter_takes_the_chapter_with_it(stores, tenant):
    session = make_session(tenant)
    ids = message_ids(say(tenant, session, *[f"turn {n}" for n in range(1, 52)]))
    drain_all()

    with tenant_scope(tenant.id):
        Message.objects.filter(id=ids[50]).delete()
    drain_all()

    assert chapter_text(stores, tenant, session, 1) is None
    assert ChapterIndex.objects.using("ops").filter(chapter=1).count() == 0
    assert stores.differences() == {}


def test_a_session_that_is_deleted_with_its_messages_leaves_nothing(stores, tenant):
    session = make_session(tenant, customer_id="ann")
    say(tenant, session, "one", "two")
    drain_all()

    with tenant_scope(tenant.id):
        Message.objects.filter(session_id=session.id).delete()
        Session.objects.filter(id=session.id).delete()
    drain_all()

    assert {kind: stores.search.count(kind, tenant.id) for kind in Kind} == dict.fromkeys(Kind, 0)
    assert stores.vectors.count(Kind.MESSAGES, tenant.id) == 0
    assert ChapterIndex.objects.using("ops").count() == 0


def test_a_customer_named_later_owns_what_was_said_before(stores, tenant):
    session = make_session(tenant)
    (message_id,) = message_ids(say(tenant, session, "who am I?"))
    drain_all()

    update_session(tenant_id=tenant.id, session_id=session.id, patch=SessionPatch(customer_id="ann"))
    drain_all()

    with tenant_scope(tenant.id):
        customer = str(Session.objects.get(id=session.id).customer_id)
    assert source_of(stores, MirrorKey(Kind.MESSAGES, tenant.id, message_id))["customer_id"] == customer
    assert source_of(stores, MirrorKey(Kind.CHAPTERS, tenant.id, session.id, 0))["customer_id"] == customer
    assert str(MessageIndex.objects.using("ops").get(message_id=message_id).customer_id) == customer
    assert stores.differences() == {}


def test_a_memory_follows_its_changes_and_its_end(stores, tenant):
    with tenant_scope(tenant.id):
        memory = Memory.objects.create(
            tenant=tenant, sealed=b"", scrubbed="likes oolong", features=b"", document="", kind="fact"
        )
    key = MirrorKey(Kind.MEMORIES, tenant.id, memory.id)
    drain_all()
    first = source_of(stores, key)["text"]

    with tenant_scope(tenant.id):
        Memory.objects.filter(id=memory.id).update(scrubbed="likes pu-erh")
    drain_all()
    second = source_of(stores, key)["text"]
    with tenant_scope(tenant.id):
        Memory.objects.filter(id=memory.id).update(hidden_at=timezone.now())
    drain_all()

    assert (first, second, source_of(stores, key)) == ("likes oolong", "likes pu-erh", None)
    assert stores.vectors.present([key]) == set()


def test_a_message_without_words_has_no_vector_and_is_not_missed(stores, tenant):
    say(tenant, make_session(tenant), "   ")

    drain_all()

    assert stores.vectors.count(Kind.MESSAGES, tenant.id) == 0
    assert stores.differences() == {}


def test_a_poison_row_is_parked_and_its_neighbours_are_not_delayed(stores, tenant):
    poisoned, healthy = make_session(tenant), make_session(tenant)
    as_owner(SET_SECONDS, "xxx, not a number", poisoned.id)  # as no service would store it

    drain()
    keys = [MirrorKey(Kind.SESSIONS, tenant.id, session.id) for session in (poisoned, healthy)]
    at_once = stores.search.present(keys)
    for _ in range(5):
        make_due()
        drain()

    parked = MirrorEvent.objects.using("ops").filter(parked_at__isnull=False)
    assert at_once == {keys[1]}
    assert {event.entity_id for event in parked} == {poisoned.id}
    assert all(event.last_error and "xxx" not in event.last_error for event in parked)
    assert stores.verdict(Sink.ELASTICSEARCH).missing == 1


def test_a_mended_row_is_followed_and_its_parked_events_go(stores, tenant):
    session = make_session(tenant)
    drain_all()
    as_owner(SET_SECONDS, "xxx, not a number", session.id)
    for _ in range(5):
        make_due()
        drain()
    assert MirrorEvent.objects.using("ops").filter(parked_at__isnull=False).exists()

    as_owner(SET_SECONDS, 10, session.id)
    drain_all()

    assert events() == 0
    assert stores.differences() == {}


def test_a_row_that_cannot_be_read_is_judged_alone(stores, tenant):
    """Not the store trips over it but we do, before anything is sent."""
    with tenant_scope(tenant.id):
        broken = Memory.objects.create(
            tenant=tenant, sealed=b"", scrubbed="x", features=b"", document="", kind="fact", embedding=b"123"
        )
    ids = message_ids(say(tenant, make_session(tenant), "one", "two", "three"))

    drain()

    left = MirrorEvent.objects.using("ops").filter(sink=Sink.MILVUS)
    assert [event.entity_id for event in left] == [broken.id]
    assert stores.vectors.present([MirrorKey(Kind.MESSAGES, tenant.id, i) for i in ids])
