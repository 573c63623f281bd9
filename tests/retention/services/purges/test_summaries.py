"""The summary class: what is known of a person ends two years after the last word with them."""

from datetime import timedelta

import pytest

from conversations import ids
from conversations.inputs import MessageIn
from conversations.models import Customer, DataKey, Memory, Session
from conversations.ports import Target, lifecycle, registry
from conversations.principals import SYSTEM
from conversations.services.messages.appends import append_messages
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass, RunState
from retention.models import ArchiveRecord
from retention.services.holds import HoldScope, place_hold
from retention.services.purges.runs import purge
from tests.retention.factories import ALICE, ago, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database")

YEARS_2, YEARS_7 = 366 * 2, 366 * 7


def run(tenant, record_class):
    return purge(tenant_id=tenant.id, record_class=record_class, actor=SYSTEM, force=True)


def remember(tenant, customer, expires_at=None):
    with tenant_scope(tenant.id):
        return Memory.objects.create(
            tenant_id=tenant.id,
            customer_id=customer and customer.id,
            sealed=b"s",
            scrubbed="likes tea",
            features=b"",
            document="",
            expires_at=expires_at,
        )


def customer_of(tenant, name="c1"):
    with tenant_scope(tenant.id):
        return Customer.objects.filter(external_id=name).first()


@pytest.fixture
def tenant(time_machine):
    """A tenant with one customer who spoke once, some two years ago."""
    now = ids.now()
    time_machine.move_to(now - timedelta(days=YEARS_2))
    tenant = make_tenant()
    append_messages(
        tenant_id=tenant.id,
        session_id=make_session(tenant).id,
        given=[MessageIn(content="Hello", role="user")],
    )
    remember(tenant, customer_of(tenant))
    time_machine.move_to(now)
    return tenant


def test_customer_is_forgotten_and_the_bare_row_stays_while_the_archive_speaks_of_them(tenant):
    run(tenant, RecordClass.MESSAGES)
    with tenant_scope(tenant.id):
        Customer.objects.update(metadata={"vip": True}, language="en")

    done = run(tenant, RecordClass.SUMMARIES)

    assert (done.state, done.candidates, done.destroyed) == (RunState.DONE, 1, 1)
    customer = customer_of(tenant)
    assert (customer.metadata, customer.language) == ({}, None)
    with tenant_scope(tenant.id):
        assert not Memory.objects.exists()
        assert ArchiveRecord.objects.get().customer_id == customer.id
        assert not Session.objects.exists()  # its statistics are over too


def test_customer_goes_with_their_key_when_nothing_speaks_of_them(tenant, time_machine):
    for record_class in RecordClass:
        run(tenant, record_class)
    time_machine.move_to(ago(YEARS_2 - YEARS_7))
    run(tenant, RecordClass.ARCHIVE)

    run(tenant, RecordClass.SUMMARIES)

    assert customer_of(tenant) is None
    with tenant_scope(tenant.id):
        assert not ArchiveRecord.objects.exists()
        assert not DataKey.objects.filter(owner="customer").exists()


def test_last_word_counts_even_when_its_session_is_cleared(tenant):
    say(tenant, make_session(tenant, made_at=ago(200)), [ago(100)])
    run(tenant, RecordClass.MESSAGES)
    assert customer_of(tenant).last_interaction_at is not None

    done = run(tenant, RecordClass.SUMMARIES)

    assert (done.candidates, done.destroyed) == (0, 0)
    with tenant_scope(tenant.id):
        assert Memory.objects.count() == 1


def test_held_customer_is_not_forgotten(tenant):
    run(tenant, RecordClass.MESSAGES)
    place_hold(tenant_id=tenant.id, scope=HoldScope(customer_id="c1"), matter="m", reason="r", actor=ALICE)

    done = run(tenant, RecordClass.SUMMARIES)

    assert (done.candidates, done.held, done.destroyed) == (0, 1, 0)
    with tenant_scope(tenant.id):
        assert Memory.objects.count() == 1


def test_what_is_known_is_over_before_any_job(tenant):
    customer = customer_of(tenant)

    with tenant_scope(tenant.id):
        assert lifecycle().summaries_over(tenant.id, [customer.id]) == {customer.id}
    say(tenant, make_session(tenant, made_at=ago(3)), [ago(2)])
    with tenant_scope(tenant.id):
        assert lifecycle().summaries_over(tenant.id, [customer.id]) == set()


def test_memory_past_its_own_end_goes_without_its_customer():
    tenant = make_tenant()
    make_session(tenant)
    customer = customer_of(tenant)
    remember(tenant, customer, expires_at=ago(0.01))
    remember(tenant, None, expires_at=ago(0.01))
    kept = remember(tenant, customer)

    run(tenant, RecordClass.SUMMARIES)

    with tenant_scope(tenant.id):
        assert list(Memory.objects.values_list("id", flat=True)) == [kept.id]


def test_other_apps_end_their_part_through_the_holdings(tenant, monkeypatch):
    asked = []

    class Holding:
        name, tables, record_class = "elsewhere", (), "summaries"

        def erase(self, tenant_id, target):
            asked.append((tenant_id, target))
            return 1

    monkeypatch.setitem(registry.holdings, "elsewhere", Holding())
    run(tenant, RecordClass.MESSAGES)
    customer = customer_of(tenant)

    run(tenant, RecordClass.SUMMARIES)

    assert asked == [(tenant.id, Target(customer_id=customer.id))]
