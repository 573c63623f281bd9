"""Statements past Django's cursor: what they store is what the ORM reads, and what fails is told."""

from datetime import UTC, datetime

import pytest
from django.db import DataError

from conversations import ids
from conversations.models import Customer, Session, Tenant
from conversations.statements import execute, insert_rows, overlapping
from conversations.tenancy import tenant_scope
from tests.builders import make_tenant

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HARD_TEXT = 'a "quoted" \\ back\tslash, a line\nfeed, Größe, 披萨 and 🍕'


@pytest.fixture
def tenant(database: str) -> Tenant:
    return make_tenant()


def test_rows_come_back_as_they_were_given(tenant: Tenant) -> None:
    customer = Customer(
        id=ids.new_id(AT),
        created_at=AT,
        tenant_id=tenant.id,
        external_id=HARD_TEXT,
        metadata={HARD_TEXT: [1.5, 2**63, None, {"deep": [True]}]},
        identifiers=[b"\x00\xff\\", b"'\"{},"],
    )
    session = Session(
        id=ids.new_id(AT),
        created_at=AT,
        earliest_at=AT,
        tenant_id=tenant.id,
        customer=customer,
        outcome={"success": True},
        document="'it''s':1 'over':2",
    )

    with tenant_scope(tenant.id):
        insert_rows([customer])
        insert_rows([session])

        stored = Session.objects.select_related("customer").get(id=session.id)
        assert stored.customer is not None
        assert stored.customer.external_id == HARD_TEXT
        assert stored.customer.metadata == customer.metadata
        assert [bytes(one) for one in stored.customer.identifiers] == customer.identifiers
        assert stored.customer.erased_at is None
        assert stored.created_at == stored.earliest_at == AT
        assert stored.outcome == {"success": True}
        assert stored.document == "'it''s':1 'over':2"
        assert stored.intent_counts == {}  # the columns that PostgreSQL fills
        assert stored.row_version > 0


def test_rows_that_are_there_are_left_alone_on_request(tenant: Tenant) -> None:
    first, again, other = (Customer(tenant_id=tenant.id, external_id=name) for name in ("a", "a", "b"))

    with tenant_scope(tenant.id):
        insert_rows([first])
        insert_rows([again, other], on_conflict="ON CONFLICT DO NOTHING")

        assert set(Customer.objects.values_list("id", flat=True)) == {first.id, other.id}


def test_what_runs_meanwhile_runs_once_the_statements_are_sent(tenant: Tenant) -> None:
    names = [f"customer {number} {'x' * 200}" for number in range(5_000)]  # more than a socket takes at once
    ran: list[str] = []

    with tenant_scope(tenant.id):
        with overlapping(lambda: ran.append("meanwhile")):
            insert_rows([Customer(tenant_id=tenant.id, external_id=name) for name in names])
            ran.append("sent")

        assert ran == ["sent", "meanwhile"]
        assert set(Customer.objects.values_list("external_id", flat=True)) == set(names)


def test_a_statement_that_fails_meanwhile_fails_at_the_end_and_stores_nothing(tenant: Tenant) -> None:
    ran: list[str] = []

    with pytest.raises(DataError), tenant_scope(tenant.id), overlapping(lambda: ran.append("meanwhile")):
        insert_rows([Customer(tenant_id=tenant.id, external_id="before")])
        execute("SELECT 1 / %(none)s::int", {"none": 0})

    assert ran == ["meanwhile"]
    with tenant_scope(tenant.id):
        assert not Customer.objects.for_tenant(tenant.id).exists()
