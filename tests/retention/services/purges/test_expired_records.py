"""What erasures, purges and holds leave to show is kept as long as the archive, and no longer."""

from datetime import timedelta

import pytest

from conversations import ids
from conversations.models import Tombstone
from conversations.principals import SYSTEM
from retention.enums import RecordClass
from retention.models import ErasureCase, ErasureTask, LegalHold, PurgeBatch, PurgeRun
from retention.services.erasures.execution import carry_out
from retention.services.holds import HoldScope, place_hold, release_hold
from retention.services.purges.expired_records import remove_expired_records
from retention.services.purges.runs import purge
from tests.retention.factories import ALICE, BOB, ago, erase, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database", "data_dir", "postgresql_alone")

KEPT = (Tombstone, ErasureTask, ErasureCase, PurgeBatch, PurgeRun, LegalHold)


def counts():
    return [model.objects.using("ops").count() for model in KEPT]


@pytest.fixture
def tenant():
    """A tenant with a verified erasure, a purge that is done and a hold that is over."""
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="bob", made_at=ago(200)), [ago(120)])
    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    carry_out(erase(tenant, customer_id="ann"))
    hold = place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="M", reason="r", actor=ALICE)
    for actor in (ALICE, BOB):
        release_hold(tenant_id=tenant.id, hold_id=hold.id, reason="r", actor=actor)
    return tenant


def test_records_stay_for_their_period_and_go_after_it(tenant, time_machine):
    before = counts()
    assert all(before)

    time_machine.move_to(ids.now() + timedelta(days=365 * 7 - 10))
    remove_expired_records()
    assert counts() == before

    time_machine.move_to(ids.now() + timedelta(days=60))
    ended = remove_expired_records()
    assert counts() == [0] * len(KEPT)
    assert ended["erasure_cases"] == ended["holds"] == 1


def test_what_is_under_way_stays_however_old_it_is(time_machine):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    erase(tenant, customer_id="ann")
    place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="M", reason="r", actor=ALICE)
    before = counts()

    time_machine.move_to(ids.now() + timedelta(days=365 * 9))
    remove_expired_records()

    assert counts() == before
