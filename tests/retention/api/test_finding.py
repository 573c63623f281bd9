"""`POST /compliance/find`: what do you hold about this number?"""

import pytest

from conversations.models import AuditEvent
from conversations.principals import SYSTEM
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass
from retention.services.purges.runs import purge
from tests.retention.factories import ago

pytestmark = pytest.mark.usefixtures("postgresql_alone")


def write(caller, text, *, customer="ann", days=1.0):
    at = ago(days).isoformat()
    session = caller("POST", "/sessions", {"customer_id": customer, "created_at": at}).json()["id"]
    said = {"role": "user", "content": text, "created_at": at}
    return session, caller("POST", f"/sessions/{session}/messages", said).json()["id"]


def find(caller, identifier, reason="Asked by letter."):
    return caller("POST", "/compliance/find", {"identifier": identifier, "reason": reason})


def ids_of(found, kind):
    return [one["id"] for one in found[kind]]


@pytest.mark.parametrize("given", ["ann@example.com", "Ann@Example.com", " ann@example.com "])
def test_person_is_found_however_they_write_it(alice, given):
    session, message = write(alice, "Write to ann@example.com please")
    write(alice, "Write to bob@example.com please", customer="bob")

    found = find(alice, given).json()

    assert (ids_of(found, "sessions"), ids_of(found, "messages")) == ([session], [message])
    assert [one["customer_id"] for one in found["customers"]] == ["ann"]
    assert "ann@example.com" not in str(found["messages"])


def test_customer_is_found_by_an_id_that_is_an_identifier(alice):
    alice("PUT", "/customers/ann@example.com", {})

    found = find(alice, "ann@example.com").json()

    assert [one["customer_id"] for one in found["customers"]] == ["ann@example.com"]
    assert (found["sessions"], found["messages"]) == ([], [])


def test_archive_is_included(alice):
    _, message = write(alice, "Call me at +65 9123 4567", days=100)
    purge(tenant_id=alice.tenant_id, record_class=RecordClass.MESSAGES, actor=SYSTEM)

    found = find(alice, "91234567").json()

    assert [(one["id"], one["state"]) for one in found["messages"]] == [(message, "archived")]


def test_another_tenants_records_are_not_found(alice, stranger):
    write(alice, "Write to ann@example.com please")

    found = find(stranger, "ann@example.com").json()

    assert (found["customers"], found["sessions"], found["messages"]) == ([], [], [])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"identifier": "ann@example.com"}, "reason"),
        ({"identifier": "ann@example.com", "reason": " "}, "reason"),
        ({"identifier": "hello", "reason": "r"}, "identifier"),
        ({"reason": "r"}, "identifier"),
    ],
)
def test_bad_requests_are_refused_and_leave_no_trace(alice, body, field):
    response = alice("POST", "/compliance/find", body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field
    with tenant_scope(alice.tenant_id):
        assert not AuditEvent.objects.filter(action="person.searched").exists()


def test_search_is_audited_without_the_identifier(alice):
    write(alice, "Write to ann@example.com please")

    find(alice, "ann@example.com", reason="Asked by letter.")

    with tenant_scope(alice.tenant_id):
        (event,) = AuditEvent.objects.filter(action="person.searched")
    assert event.details == {
        "reason": "Asked by letter.",
        "kinds": ["email"],
        "customers": 1,
        "sessions": 1,
        "messages": 1,
    }
