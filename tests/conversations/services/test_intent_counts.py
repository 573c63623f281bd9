"""Sessions count the intents of their messages, whoever changes those and how."""

from collections import Counter
from uuid import uuid4

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.inputs import MessageIn, MessagePatch
from conversations.models import Message, MirrorEvent, MirrorSink, Session
from conversations.principals import SYSTEM
from conversations.services.bulk import MessageChanges, change_messages
from conversations.services.messages.appends import append_messages
from conversations.services.messages.changes import delete_messages, update_message
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say


def counts(session: Session) -> dict[str, int]:
    with tenant_scope(session.tenant_id):
        return Session.objects.get(id=session.id).intent_counts


def test_appends_count_what_they_bring(database):
    tenant = make_tenant()
    session = make_session(tenant)

    say(tenant, session, "a", "b", intent="order")
    say(tenant, session, "c")
    say(tenant, session, "d", intent="thanks")

    assert counts(session) == {"order": 2, "thanks": 1}


def test_a_repeat_is_counted_once(database):
    tenant = make_tenant()
    session = make_session(tenant)

    for _ in range(2):
        say(tenant, session, "a", intent="order", external_id="m1")

    assert counts(session) == {"order": 1}


def test_annotations_are_followed(database):
    tenant = make_tenant()
    session = make_session(tenant)
    first, second = message_ids(say(tenant, session, "a", "b", intent="order"))

    update_message(tenant_id=tenant.id, message_id=first, patch=MessagePatch(intent="complaint"))
    update_message(tenant_id=tenant.id, message_id=second, patch=MessagePatch(intent=None))

    assert counts(session) == {"complaint": 1}


def test_deleted_messages_count_no_more(database):
    tenant = make_tenant()
    session = make_session(tenant)
    first, *_ = message_ids(say(tenant, session, "a", "b", intent="order"))

    delete_messages(tenant_id=tenant.id, message_ids=[first], actor=SYSTEM)

    assert counts(session) == {"order": 1}


def test_what_a_purge_takes_stays_counted(database):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "a", "b", intent="order")

    with tenant_scope(tenant.id):
        Message.objects.filter(session_id=session.id).delete()

    assert counts(session) == {"order": 2}


def test_mirrors_follow_when_an_intent_comes_or_goes_and_not_when_it_comes_again(database):
    MirrorSink.objects.using("ops").filter(id=2).update(enabled=True)
    tenant = make_tenant()
    session = make_session(tenant)
    seen = []

    def events() -> int:
        return MirrorEvent.objects.using("ops").filter(entity_id=session.id, sink=2).count()

    for work in (
        lambda: say(tenant, session, "a", intent="order"),
        lambda: say(tenant, session, "b", intent="order"),
        lambda: say(tenant, session, "c", intent="thanks"),
    ):
        before = events()
        work()
        seen.append(events() - before)

    assert seen == [1, 0, 1]


intents = st.none() | st.sampled_from(["order", "complaint", "thanks"])
acts = st.lists(
    st.tuples(st.just("append"), st.lists(intents, min_size=1, max_size=3))
    | st.tuples(st.just("patch"), st.lists(st.tuples(st.integers(0, 9), intents), min_size=1, max_size=3))
    | st.tuples(st.just("delete"), st.integers(0, 9)),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=acts)
def test_counts_are_those_of_the_live_messages_after_any_acts(database, acts):
    tenant = make_tenant(f"tenant {uuid4()}")
    session = make_session(tenant)
    live: list = []

    for act, given_ in acts:
        if act == "append":
            said = [MessageIn(role="user", content="x", intent=intent) for intent in given_]
            live += message_ids(append_messages(tenant_id=tenant.id, session_id=session.id, given=said))
        elif act == "patch" and live:
            update = [(live[place % len(live)], MessagePatch(intent=intent)) for place, intent in given_]
            change_messages(tenant_id=tenant.id, changes=MessageChanges(update=update), actor=SYSTEM)
        elif act == "delete" and live:
            gone = live.pop(given_ % len(live))
            delete_messages(tenant_id=tenant.id, message_ids=[gone], actor=SYSTEM)

    with tenant_scope(tenant.id):
        rows = Message.objects.filter(hidden_at__isnull=True, intent__isnull=False).values_list(
            "intent", flat=True
        )
        expected = Counter(rows)
    assert counts(session) == expected


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        ("{}", "{}", "{}"),
        ('{"a": 1}', '{"a": 2, "b": 1}', '{"a": 3, "b": 1}'),
        ('{"a": 1}', '{"a": -1, "b": 0}', "{}"),
    ],
)
def test_counts_add_up(database, one, other, total):
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT merge_counts(%s, %s) = %s::jsonb", [one, other, total])
        assert cursor.fetchone() == (True,)
