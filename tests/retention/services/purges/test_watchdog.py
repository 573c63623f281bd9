from datetime import timedelta

import pytest
from django.test import Client

from conversations import ids
from conversations.principals import SYSTEM
from retention.enums import RecordClass
from retention.services.holds import HoldScope, place_hold
from retention.services.purges import watchdog
from retention.services.purges.runs import purge
from retention.services.purges.schedule import purge_due
from tests.retention.factories import ALICE, ago, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def fresh_look():
    watchdog._latest_result.forget()
    yield
    watchdog._latest_result.forget()


def look(record_class=RecordClass.MESSAGES):
    watchdog._latest_result.forget()
    return next(one for one in watchdog.watch() if one.record_class is record_class)


def test_watchdog_counts_what_a_purge_has_left_and_since_when():
    tenant = make_tenant()
    say(tenant, make_session(tenant, made_at=ago(120)), [ago(100), ago(95), ago(10)])

    seen = look()

    assert seen.overdue == 2
    assert abs(seen.overdue_since - (ids.now() - timedelta(days=10))) < timedelta(minutes=1)
    assert seen.purged_at is None


def test_watchdog_is_quiet_after_the_scheduled_purge():
    tenants = [make_tenant("acme"), make_tenant("other")]
    for tenant in tenants:
        say(tenant, make_session(tenant, made_at=ago(120)), [ago(100)])

    finished = purge_due(actor=SYSTEM, seconds=60)

    seen = look()
    assert finished
    assert (seen.overdue, seen.overdue_since, seen.stopped) == (0, None, 0)
    assert ids.now() - seen.purged_at < timedelta(minutes=1)


def test_what_a_hold_keeps_is_no_broken_promise():
    tenant = make_tenant()
    say(tenant, make_session(tenant, made_at=ago(120)), [ago(100)])
    place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="m", reason="r", actor=ALICE)

    assert look().overdue == 0


def test_tenant_that_was_never_purged_shows(time_machine):
    purged, forgotten = make_tenant("purged"), make_tenant("forgotten")
    for record_class in RecordClass:
        purge(tenant_id=purged.id, record_class=record_class, actor=SYSTEM)

    assert look().purged_at is None
    purge(tenant_id=forgotten.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    assert look().purged_at is not None


def test_schedule_runs_each_class_once_a_day(time_machine):
    make_tenant()
    purge_due(actor=SYSTEM, seconds=60)
    first = look().purged_at

    purge_due(actor=SYSTEM, seconds=60)
    assert look().purged_at == first

    time_machine.move_to(ids.now() + timedelta(days=1))
    purge_due(actor=SYSTEM, seconds=60)
    assert look().purged_at > first


def test_metrics_tell_the_promises():
    tenant = make_tenant()
    say(tenant, make_session(tenant, made_at=ago(120)), [ago(100)])

    told = Client().get("/metrics").content.decode()

    assert 'remembrancer_retention_overdue_records{class="messages"} 1.0' in told
    assert 'remembrancer_purge_last_success_timestamp_seconds{class="messages"} 0.0' in told
