"""`/erasures` as `API.md` section 8 has them, in PostgreSQL alone."""

from datetime import timedelta

import pytest

from conversations.models import AuditEvent, Customer, DataKey, Message
from conversations.tenancy import tenant_scope
from retention.models import ErasureCase
from retention.receipts import verify_receipt
from retention.services.erasures.execution import carry_out, follow_cases
from tests.retention.api.test_holds import HOLD, converse

pytestmark = pytest.mark.usefixtures("postgresql_alone", "data_dir")

WHY = {"reason": "Asked by letter of 3 May.", "basis": "GDPR 17 (1) b"}


def carried_out(caller, case):
    with tenant_scope(caller.tenant_id):
        row = ErasureCase.objects.get(id=case["id"])
    carry_out(row)
    return caller("GET", f"/erasures/{case['id']}").json()


def test_erasure_of_a_customer_is_opened_carried_out_and_proven(alice):
    session, (message,) = converse(alice, 1, customer="ann")

    opened = alice("POST", "/erasures", {"customer_id": "ann", **WHY})
    case = carried_out(alice, opened.json())
    receipt = alice("GET", f"/erasures/{case['id']}/receipt")

    assert opened.status_code == 202
    assert (opened.json()["state"], opened.json()["deferrals"]) == ("executing", [])
    assert (case["state"], case["keys_destroyed"]) == ("verified", 1)
    proven = verify_receipt(receipt.content).receipt
    assert (proven.case, proven.subject, proven.basis) == (case["id"], case["subject"], WHY["basis"])
    assert proven.stores["postgresql.messages"].found_before == 1
    assert not any(proof.found_after for proof in proven.stores.values())
    for path in (f"/messages/{message}", f"/sessions/{session}", "/customers/ann"):
        gone = alice("GET", path)
        assert (gone.status_code, gone.json()["code"], gone.json()["case_id"]) == (410, "erased", case["id"])


def test_nothing_in_case_or_receipt_names_the_person(alice):
    converse(alice, 1, customer="ann.lee@example.com")

    case = carried_out(
        alice, alice("POST", "/erasures", {"customer_id": "ann.lee@example.com", **WHY}).json()
    )

    assert b"ann.lee" not in alice("GET", f"/erasures/{case['id']}/receipt").content
    assert "ann.lee" not in str(case)


def test_somebody_already_erased_is_410_with_the_case(alice):
    session, (message,) = converse(alice, 1, customer="ann")
    case = alice("POST", "/erasures", {"customer_id": "ann", **WHY}).json()

    again = [
        alice("POST", "/erasures", {**what, **WHY})
        for what in ({"customer_id": "ann"}, {"session_id": session}, {"message_ids": [message]})
    ]

    assert [(one.status_code, one.json()["case_id"]) for one in again] == [(410, case["id"])] * 3


@pytest.mark.parametrize(
    "what",
    [
        {"customer_id": "nobody"},
        {"session_id": "01890000-0000-7000-8000-000000000000"},
        {"message_ids": ["01890000-0000-7000-8000-000000000000"]},
    ],
)
def test_what_is_unknown_is_404_and_changes_nothing(alice, what):
    _, (message,) = converse(alice, 1)

    response = alice("POST", "/erasures", {**what, **WHY})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert alice("GET", f"/messages/{message}").status_code == 200
    assert alice("GET", "/erasures").json()["data"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"customer_id": "c1"},
        {"customer_id": "c1", "reason": "r"},
        {"customer_id": "c1", "basis": "b"},
        {"customer_id": "c1", "reason": "  ", "basis": "b"},
        {"customer_id": "c1", "reason": "r", "basis": " "},
        {"reason": "r", "basis": "b"},
        {"customer_id": "c1", "session_id": "01890000-0000-7000-8000-000000000000", **WHY},
        {"message_ids": [], **WHY},
        {"customer_id": "c1", "user_id": "c2", **WHY},
        {"customer_id": "c1", "what": 1, **WHY},
    ],
)
def test_bad_requests_are_refused_and_change_nothing(alice, body):
    _, (message,) = converse(alice, 1)

    response = alice("POST", "/erasures", body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert alice("GET", f"/messages/{message}").status_code == 200


def test_erasing_needs_the_scope(issue, alice):
    converse(alice, 1)
    agent = issue("read", "write", tenant=alice)

    response = agent("POST", "/erasures", {"customer_id": "c1", **WHY})

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_another_tenants_case_does_not_exist(alice, stranger):
    converse(alice, 1)
    case = alice("POST", "/erasures", {"customer_id": "c1", **WHY}).json()["id"]

    assert stranger("GET", f"/erasures/{case}").status_code == 404
    assert stranger("GET", f"/erasures/{case}/receipt").status_code == 404
    assert stranger("POST", "/erasures", {"customer_id": "c1", **WHY}).status_code == 404


def test_there_is_no_receipt_before_every_store_has_answered(alice):
    converse(alice, 1)
    case = alice("POST", "/erasures", {"customer_id": "c1", **WHY}).json()["id"]

    early = alice("GET", f"/erasures/{case}/receipt")

    assert (early.status_code, early.json()["code"]) == (409, "conflict")


def test_erasing_never_goes_wider_than_its_scope(alice):
    session, (first, second) = converse(alice, 2, 1, customer="ann")
    other, (third,) = converse(alice, 1, customer="ann")
    _, (stranger,) = converse(alice, 1, customer="bob")

    carried_out(alice, alice("POST", "/erasures", {"message_ids": [first], **WHY}).json())
    assert [alice("GET", f"/messages/{m}").status_code for m in (first, second, third, stranger)] == [
        410,
        200,
        200,
        200,
    ]
    assert alice("GET", f"/sessions/{session}").json()["message_count"] == 1

    carried_out(alice, alice("POST", "/erasures", {"session_id": session, **WHY}).json())
    assert [alice("GET", f"/messages/{m}").status_code for m in (second, third, stranger)] == [410, 200, 200]
    assert alice("GET", f"/sessions/{other}").status_code == 200

    carried_out(alice, alice("POST", "/erasures", {"customer_id": "ann", **WHY}).json())
    assert [alice("GET", f"/messages/{m}").status_code for m in (third, stranger)] == [410, 200]


def test_who_writes_again_is_a_new_customer_with_a_new_key(alice):
    session, _ = converse(alice, 1, customer="ann")
    alice("POST", "/erasures", {"customer_id": "ann", **WHY})

    late = alice("POST", f"/sessions/{session}/messages", {"role": "user", "content": "late"})
    old = {"customer_id": "ann", "created_at": "2026-01-01T00:00:00Z"}
    early = alice("POST", "/sessions", old)
    _, (message,) = converse_now(alice, "ann")
    early_again = alice("POST", "/sessions", old)

    assert [answer.status_code for answer in (late, early, early_again)] == [410, 410, 410]
    assert alice("GET", f"/messages/{message}").json()["content"] == "hello again"
    assert [m["id"] for m in alice("GET", "/customers/ann/messages").json()["data"]] == [message]
    with tenant_scope(alice.tenant_id):
        assert Customer.objects.filter(external_id="ann").count() == 1
        keys = DataKey.objects.filter(owner="customer").order_by("id")
        assert [key.wrapped is None for key in keys] == [True, False]


def converse_now(caller, customer):
    session = caller("POST", "/sessions", {"customer_id": customer}).json()["id"]
    message = caller("POST", f"/sessions/{session}/messages", {"role": "user", "content": "hello again"})
    return session, [message.json()["id"]]


def test_held_person_is_deferred_and_follows_after_the_release(alice, bob, settings):
    settings.HOLD_GRACE = timedelta(0)
    _, held = converse(alice, 30, 20, customer="ann")
    _, free = converse(alice, 2, customer="ann")
    with tenant_scope(alice.tenant_id):
        end = Message.objects.get(id=free[0]).created_at.isoformat()
    hold = alice("POST", "/holds", {**HOLD, "customer_id": "ann", "end_time": end}).json()["id"]

    opened = alice("POST", "/erasures", {"customer_id": "ann", **WHY}).json()
    deferred = carried_out(alice, opened)

    (deferral,) = opened["deferrals"]
    assert deferral | {"records": None} == {
        "kind": "hold",
        "hold_id": hold,
        "matter": HOLD["matter"],
        "basis": None,
        "until": None,
        "records": None,
    }
    assert (deferred["state"], deferred["keys_destroyed"]) == ("deferred", 1)
    assert {alice("GET", f"/messages/{message}").status_code for message in (*held, *free)} == {410}
    receipt = verify_receipt(alice("GET", f"/erasures/{opened['id']}/receipt").content).receipt
    assert receipt.stores["postgresql.messages"].found_after == 2
    assert [one.hold_id for one in receipt.deferrals] == [hold]
    revealed = alice("POST", f"/messages/{held[0]}/reveal", {"reason": "The case goes on."})
    assert revealed.json()["content"] == "It came 30 days ago"

    for person in (alice, bob):
        person("POST", f"/holds/{hold}/release", {"reason": "settled"})
    with tenant_scope(alice.tenant_id):
        ErasureCase.objects.filter(id=opened["id"]).update(next_at=opened["created_at"])
    follow_cases()

    verified = alice("GET", f"/erasures/{opened['id']}").json()
    assert (verified["state"], verified["deferrals"]) == ("verified", [])
    final = verify_receipt(alice("GET", f"/erasures/{opened['id']}/receipt").content).receipt
    assert not any(proof.found_after for proof in final.stores.values())
    with tenant_scope(alice.tenant_id):
        assert not Message.objects.exists()
        assert not Customer.objects.exists()
        assert not DataKey.objects.filter(owner__in=["customer", "case"], wrapped__isnull=False).exists()


def test_legal_minimum_defers_with_its_date_and_its_basis(alice):
    policy = {"messages": "P90D", "summaries": "P2Y", "archive": "P7Y", "archive_mode": "sealed"}
    alice("PUT", "/retention/policy", {**policy, "legal_minimum": "P1Y", "legal_basis": "Trade act 9"})
    converse(alice, 10, customer="ann")

    case = carried_out(alice, alice("POST", "/erasures", {"customer_id": "ann", **WHY}).json())

    assert case["state"] == "deferred"
    (deferral,) = case["deferrals"]
    # The message, and what is counted of the customer.
    assert (deferral["kind"], deferral["basis"], deferral["records"]) == ("legal_minimum", "Trade act 9", 2)
    assert deferral["until"] > case["created_at"]
    assert alice("GET", "/customers/ann").status_code == 410


def test_replay_of_an_idempotent_answer_is_410_after_the_erasure(alice):
    body = {"customer_id": "ann"}
    session = alice("POST", "/sessions", body, idempotency_key="k1").json()["id"]
    path, said = f"/sessions/{session}/messages", {"role": "user", "content": "hello"}
    message = alice("POST", path, said, idempotency_key="k2").json()["id"]
    alice("DELETE", f"/messages/{message}")

    assert alice("POST", path, said, idempotency_key="k2").status_code == 410
    assert alice("POST", "/sessions", body, idempotency_key="k1")["Idempotency-Replayed"] == "true"
    alice("POST", "/erasures", {"customer_id": "ann", **WHY})
    assert alice("POST", "/sessions", body, idempotency_key="k1").status_code == 410


def test_every_look_and_every_step_is_audited_without_the_person(alice):
    converse(alice, 1, customer="ann.lee")
    case = alice("POST", "/erasures", {"customer_id": "ann.lee", **WHY}).json()
    carried_out(alice, case)
    alice("GET", f"/erasures/{case['id']}/receipt")

    with tenant_scope(alice.tenant_id):
        events = list(AuditEvent.objects.filter(object_id=case["id"]).order_by("id"))
    assert [event.action for event in events] == [
        "erasure.opened",
        "erasure.verified",
        "erasure.read",
        "erasure.receipt_read",
    ]
    assert "ann.lee" not in str([event.details for event in events])
