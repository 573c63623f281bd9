"""Purges: what ends, what stays, and what a run says about it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connections

from conversations import ids
from conversations.enums import Reason
from conversations.models import AuditEvent, ContextReceipt, Message, MirrorEvent, Session
from conversations.principals import SYSTEM
from conversations.services.messages import reading
from conversations.tenancy import tenant_scope
from retention.enums import ArchiveMode, RecordClass, RunState
from retention.models import ArchiveRecord, PurgeBatch, PurgeRun
from retention.periods import Period
from retention.policies import DEFAULT_POLICY
from retention.services.archiving import open_record
from retention.services.holds import HoldScope, place_hold, release_hold
from retention.services.policies import approve_policy, put_policy
from retention.services.purges.runs import confirm_run, preview, purge
from tests.retention.factories import ALICE, BOB, ago, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database")


def run_messages(tenant, **options):
    return purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM, **options)


def test_purge_archives_what_is_expired_and_leaves_the_rest():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    old = say(tenant, session, [ago(120), ago(91)])
    young = say(tenant, session, [ago(89), ago(1)])

    run = run_messages(tenant)

    assert (run.state, run.candidates, run.archived, run.destroyed) == (RunState.DONE, 2, 2, 0)
    with tenant_scope(tenant.id):
        assert set(Message.objects.values_list("id", flat=True)) == set(young)
        assert set(ArchiveRecord.objects.values_list("id", flat=True)) == set(old)
        session.refresh_from_db()
    assert session.message_count == 2
    assert session.cleared_at is None


def test_archived_message_opens_field_by_field_as_it_was():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    (message_id,) = say(tenant, session, [ago(100)], text="My mail is ann@example.com")
    with tenant_scope(tenant.id):
        before = reading.present(tenant.id, list(Message.objects.all()), processing=False)[0]

    run_messages(tenant)

    with tenant_scope(tenant.id):
        record = ArchiveRecord.objects.get(id=message_id)
        assert open_record(record, customer="c1") == before
        assert "ann@example.com" not in record.scrubbed
        assert b"ann@example.com" not in bytes(record.sealed)


def test_mode_none_destroys_and_says_why_to_the_mirror(settings):
    settings.POLICY_COOLING = timedelta(0)
    tenant = make_tenant()
    put_policy(
        tenant_id=tenant.id, policy=replace(DEFAULT_POLICY, archive_mode=ArchiveMode.NONE), actor=ALICE
    )
    approve_policy(tenant_id=tenant.id, version=1, actor=BOB)
    session = make_session(tenant, made_at=ago(200))
    say(tenant, session, [ago(100)])
    MirrorEvent.objects.using("ops").all().delete()

    run = run_messages(tenant)

    assert (run.archived, run.destroyed) == (0, 1)
    with tenant_scope(tenant.id):
        assert not Message.objects.exists()
        assert not ArchiveRecord.objects.exists()
    assert set(MirrorEvent.objects.using("ops").values_list("reason", flat=True)) == {Reason.PURGE}


def test_session_is_cleared_when_its_last_message_leaves():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    say(tenant, session, [ago(100)])

    run_messages(tenant)

    with tenant_scope(tenant.id):
        session.refresh_from_db()
    assert (session.title, session.metadata, session.customer_id) == (None, {}, None)
    assert session.cleared_at is not None
    assert session.message_count == 0


def test_session_that_never_spoke_is_cleared_after_the_message_period():
    tenant = make_tenant()
    old, young = make_session(tenant, made_at=ago(91)), make_session(tenant, made_at=ago(89))

    run_messages(tenant)

    with tenant_scope(tenant.id):
        cleared = set(Session.objects.filter(cleared_at__isnull=False).values_list("id", flat=True))
    assert cleared == {old.id}
    assert young.id not in cleared


def test_held_messages_stay_and_their_session_is_not_cleared():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    say(tenant, session, [ago(100), ago(95)])
    place_hold(tenant_id=tenant.id, scope=HoldScope(customer_id="c1"), matter="m", reason="r", actor=ALICE)

    run = run_messages(tenant)

    assert (run.candidates, run.held, run.archived) == (0, 2, 0)
    with tenant_scope(tenant.id):
        assert Message.objects.count() == 2
        session.refresh_from_db()
    assert session.cleared_at is None


def test_purge_after_release_takes_what_the_hold_kept(settings):
    settings.HOLD_GRACE = timedelta(0)
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    say(tenant, session, [ago(100)])
    hold = place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="m", reason="r", actor=ALICE)
    run_messages(tenant)
    for actor in (ALICE, BOB):
        release_hold(tenant_id=tenant.id, hold_id=hold.id, reason="r", actor=actor)

    run = run_messages(tenant)

    assert (run.candidates, run.held, run.archived) == (1, 0, 1)


def test_preview_counts_and_changes_nothing():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    (expired, _) = say(tenant, session, [ago(100), ago(1)])

    by_class = {one.record_class: one.due for one in preview(tenant_id=tenant.id)}

    assert by_class[RecordClass.MESSAGES].candidates == 1
    assert by_class[RecordClass.MESSAGES].samples == (expired,)
    with tenant_scope(tenant.id):
        assert Message.objects.count() == 2
        assert not PurgeRun.objects.exists()


def test_batches_add_up_to_their_run(monkeypatch):
    monkeypatch.setattr("retention.services.purges.runs.BATCH", 7)
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    say(tenant, session, [ago(100)] * 20)

    run = run_messages(tenant)

    with tenant_scope(tenant.id):
        batches = list(PurgeBatch.objects.order_by("number"))
        assert [batch.archived for batch in batches] == [7, 7, 6]
        assert run.archived == run.leaves == 20
        assert AuditEvent.objects.filter(action="purge.batch").count() == 3


def test_fuse_stops_a_shortened_policy_before_the_first_row(settings):
    settings.POLICY_COOLING = timedelta(0)
    settings.PURGE_FUSE_FLOOR = 2
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(50))
    say(tenant, session, [ago(20)] * 5)
    run_messages(tenant)
    put_policy(tenant_id=tenant.id, policy=replace(DEFAULT_POLICY, messages=Period(days=9)), actor=ALICE)
    approve_policy(tenant_id=tenant.id, version=1, actor=BOB)

    stopped = run_messages(tenant)
    again = run_messages(tenant)

    assert (stopped.state, stopped.candidates, stopped.archived) == (RunState.STOPPED, 5, 0)
    assert again.id == stopped.id
    with tenant_scope(tenant.id):
        assert Message.objects.count() == 5

    confirm_run(tenant_id=tenant.id, run_id=stopped.id, reason="as decided", actor=BOB)
    done = run_messages(tenant)

    assert (done.id, done.state, done.archived) == (stopped.id, RunState.DONE, 5)


def test_backlog_alone_does_not_blow_the_fuse(settings):
    settings.PURGE_FUSE_FLOOR = 2
    tenant = make_tenant()
    run_messages(tenant)
    session = make_session(tenant, made_at=ago(200))
    say(tenant, session, [ago(120)] * 20)

    run = run_messages(tenant)

    assert (run.state, run.archived) == (RunState.DONE, 20)


def test_fuse_stops_a_clock_that_jumped(settings, time_machine):
    settings.PURGE_FUSE_FLOOR = 2
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, [ago(1)] * 5)
    run_messages(tenant)

    time_machine.move_to(ids.now() + timedelta(days=365))
    run = run_messages(tenant)

    assert (run.state, run.candidates) == (RunState.STOPPED, 5)


def test_expired_context_receipts_go_with_the_messages():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    with tenant_scope(tenant.id):
        for at in (ago(91), ago(89)):
            ContextReceipt(
                id=ids.new_id(at), created_at=at, tenant_id=tenant.id, session=session, items=[]
            ).save(force_insert=True)

    run_messages(tenant)

    with tenant_scope(tenant.id):
        assert ContextReceipt.objects.count() == 1


def test_tampered_message_stays_and_stops_nobody_else():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(200))
    broken, sound = say(tenant, session, [ago(100), ago(99)])
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "UPDATE conversations_message SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40)) WHERE id = %s",
            [broken],
        )

    run = run_messages(tenant)

    with tenant_scope(tenant.id):
        assert list(Message.objects.values_list("id", flat=True)) == [broken]
        assert list(ArchiveRecord.objects.values_list("id", flat=True)) == [sound]
    assert run.state == RunState.DONE
