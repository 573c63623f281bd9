"""Erasures from the request to the receipt, in PostgreSQL alone (no other store is switched on)."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from conversations.exceptions import Erased, KeyDestroyed
from conversations.models import Customer, Message, MirrorEvent, Session
from conversations.services.messages import reading
from conversations.tenancy import tenant_scope
from retention.enums import CaseState
from retention.receipts import verify_receipt
from retention.services.erasures.execution import carry_out
from tests.retention.factories import ago, erase, make_session, make_tenant, say

MOST = (
    100  # statements from the open case of one message to its receipt, BEGIN, COMMIT and settings among them
)

pytestmark = pytest.mark.usefixtures("database", "data_dir", "postgresql_alone")


def test_customer_is_hidden_and_unreadable_when_the_case_is_open():
    tenant = make_tenant()
    session = make_session(tenant, customer="ann")
    (message_id,) = say(tenant, session, [ago(1)])

    case = erase(tenant, customer_id="ann")

    assert case.state == CaseState.EXECUTING
    assert case.keys_destroyed == 1
    with tenant_scope(tenant.id):
        with pytest.raises(Erased) as gone:
            reading.get_message(tenant.id, message_id)
        assert gone.value.case_id == str(case.id)
        with pytest.raises(Erased):
            reading.get_session(tenant.id, session.id)
        with pytest.raises(KeyDestroyed):
            reading.present(tenant.id, list(Message.objects.filter(id=message_id)))
        assert not Customer.objects.filter(external_id="ann").exists()


def test_customer_is_gone_and_proven_when_it_was_carried_out():
    tenant = make_tenant()
    session = make_session(tenant, customer="ann")
    say(tenant, session, [ago(1), ago(0.5)])
    other = make_session(tenant, customer="bob")
    kept = say(tenant, other, [ago(1)])

    case = carry_out(erase(tenant, customer_id="ann"))

    assert case.state == CaseState.VERIFIED
    receipt = verify_receipt(bytes(case.receipt)).receipt
    assert receipt.stores["postgresql.messages"].found_before == 2
    assert {proof.found_after for proof in receipt.stores.values()} == {0}
    with tenant_scope(tenant.id):
        assert list(Message.objects.values_list("id", flat=True)) == kept
        assert list(Session.objects.values_list("id", flat=True)) == [other.id]
        assert list(Customer.objects.values_list("external_id", flat=True)) == ["bob"]
        assert len(reading.read_messages(tenant.id, kept)) == 1
    assert not MirrorEvent.objects.using("ops").filter(entity_id=session.id).exists()


def test_a_message_is_carried_out_in_few_statements():
    """Agents delete one message at a time, and every case waits for those before it."""
    tenant = make_tenant()
    (message_id,) = say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    case = erase(tenant, message_ids=(message_id,))

    with (
        CaptureQueriesContext(connections["default"]) as as_app,
        CaptureQueriesContext(connections["ops"]) as as_ops,
    ):
        done = carry_out(case)

    assert done.state == CaseState.VERIFIED
    assert len(as_app) + len(as_ops) <= MOST
