from datetime import timedelta

import pytest

from conversations.exceptions import Conflict, Held, Invalid, NotFound, SamePerson
from conversations.models import AuditEvent, Message
from conversations.services import sessions
from conversations.services.messages.changes import delete_messages
from conversations.tenancy import tenant_scope
from retention.models import LegalHold
from retention.services.holds import HoldScope, held_messages, held_sessions, place_hold, release_hold
from tests.retention.factories import ALICE, BOB, ago, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database")


def test_hold_covers_what_lies_in_its_span_only():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(40))
    old, edge, late = say(tenant, session, [ago(30), ago(20), ago(10)])
    with tenant_scope(tenant.id):
        times = dict(Message.objects.for_tenant(tenant.id).values_list("id", "created_at"))

    place_hold(
        tenant_id=tenant.id,
        scope=HoldScope(customer_id="c1", start_time=times[edge], end_time=times[late]),
        matter="Case 7",
        reason="Claim",
        actor=ALICE,
    )

    with tenant_scope(tenant.id):
        assert held_messages(tenant.id, [old, edge, late]) == {edge}
        assert held_sessions(tenant.id, [session.id]) == {session.id}


def test_hold_on_unknown_customer_is_refused_and_changes_nothing():
    tenant = make_tenant()

    with pytest.raises(NotFound):
        place_hold(tenant_id=tenant.id, scope=HoldScope(customer_id="?"), matter="m", reason="r", actor=ALICE)

    with tenant_scope(tenant.id):
        assert not LegalHold.objects.exists()
        assert not AuditEvent.objects.filter(action="hold.placed").exists()


def test_hold_refuses_deletes_and_changes():
    tenant = make_tenant()
    session = make_session(tenant)
    (message,) = say(tenant, session, [ago(0.01)])
    place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="m", reason="r", actor=ALICE)

    with pytest.raises(Held):
        delete_messages(tenant_id=tenant.id, message_ids=[message], actor=ALICE)
    with pytest.raises(Held):
        sessions.delete_session(tenant_id=tenant.id, session_id=session.id, actor=ALICE)

    with tenant_scope(tenant.id):
        assert not Message.objects.filter(hidden_at__isnull=False).exists()


def test_release_takes_two_people_and_leaves_a_grace(settings):
    settings.HOLD_GRACE = timedelta(days=30)
    tenant = make_tenant()
    session = make_session(tenant)
    hold = place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="m", reason="r", actor=ALICE)

    release_hold(tenant_id=tenant.id, hold_id=hold.id, reason="settled", actor=ALICE)
    with pytest.raises(SamePerson):
        release_hold(tenant_id=tenant.id, hold_id=hold.id, reason="settled", actor=ALICE)
    release_hold(tenant_id=tenant.id, hold_id=hold.id, reason="so it is", actor=BOB)
    with pytest.raises(Conflict):
        release_hold(tenant_id=tenant.id, hold_id=hold.id, reason="settled", actor=BOB)

    with tenant_scope(tenant.id):
        released = LegalHold.objects.get(id=hold.id)
        assert (released.release_reason, released.grant_reason) == ("settled", "so it is")
        assert released.grace_until - released.released_at == timedelta(days=30)
        assert held_sessions(tenant.id, [session.id]) == {session.id}


def test_release_without_grace_frees_at_once(settings):
    settings.HOLD_GRACE = timedelta(0)
    tenant = make_tenant()
    session = make_session(tenant)
    hold = place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="m", reason="r", actor=ALICE)

    for actor in (ALICE, BOB):
        release_hold(tenant_id=tenant.id, hold_id=hold.id, reason="settled", actor=actor)

    with tenant_scope(tenant.id):
        assert held_sessions(tenant.id, [session.id]) == set()


@pytest.mark.parametrize("texts", [{"matter": " ", "reason": "r"}, {"matter": "m", "reason": ""}])
def test_hold_needs_matter_and_reason(texts):
    tenant = make_tenant()

    with pytest.raises(Invalid):
        place_hold(tenant_id=tenant.id, scope=HoldScope(), actor=ALICE, **texts)


def test_delete_hides_at_once_and_leaves_a_case_and_tombstones():
    tenant = make_tenant()
    session = make_session(tenant)
    first, second = say(tenant, session, [ago(0.02), ago(0.01)])

    case = delete_messages(tenant_id=tenant.id, message_ids=[first], actor=ALICE)

    with tenant_scope(tenant.id):
        session.refresh_from_db()
        assert session.message_count == 1
        assert session.epoch == 2
        assert list(Message.objects.filter(hidden_at__isnull=True).values_list("id", flat=True)) == [second]
    assert case["state"] == "executing"
