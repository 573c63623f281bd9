from datetime import timedelta

import pytest

from conversations.models import AuditEvent
from tests.retention.factories import ago

POLICY = {"messages": "P90D", "summaries": "P2Y", "archive": "P7Y", "archive_mode": "sealed"}


def test_default_policy_is_in_force_and_nothing_is_pending(alice):
    answer = alice("GET", "/retention/policy")

    shown = answer.json()
    assert answer.status_code == 200
    assert {name: shown[name] for name in POLICY} == POLICY
    assert (shown["object"], shown["status"], shown["version"], shown["pending"]) == (
        "retention_policy",
        "in_force",
        0,
        None,
    )
    assert (shown["legal_minimum"], shown["timezone"]) == ("P0D", "UTC")


def test_longer_policy_is_in_force_at_once(alice):
    answer = alice("PUT", "/retention/policy", {**POLICY, "messages": "P120D"})

    assert (answer.status_code, answer.json()["status"]) == (200, "in_force")
    assert alice("GET", "/retention/policy").json()["messages"] == "P120D"


def test_shorter_policy_waits_for_another_person_and_then_cools(alice, bob, settings):
    settings.POLICY_COOLING = timedelta(days=7)

    proposed = alice("PUT", "/retention/policy", {**POLICY, "messages": "P30D"})
    same = alice("POST", "/retention/policy/approve", {"version": 1})
    approved = bob("POST", "/retention/policy/approve", {"version": 1})
    again = bob("POST", "/retention/policy/approve", {"version": 1})

    assert (proposed.status_code, proposed.json()["status"], proposed.json()["version"]) == (
        202,
        "proposed",
        1,
    )
    assert (same.status_code, same.json()["code"]) == (409, "same_person")
    assert (approved.status_code, approved.json()["status"]) == (200, "cooling")
    assert approved.json()["takes_effect_at"] is not None
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    shown = alice("GET", "/retention/policy").json()
    assert (shown["messages"], shown["pending"]["messages"], shown["pending"]["status"]) == (
        "P90D",
        "P30D",
        "cooling",
    )


def test_cooled_policy_takes_effect_without_any_job(alice, bob, settings, time_machine):
    settings.POLICY_COOLING = timedelta(days=7)
    alice("PUT", "/retention/policy", {**POLICY, "messages": "P30D"})
    bob("POST", "/retention/policy/approve", {"version": 1})

    time_machine.move_to(ago(-7.001))
    shown = alice("GET", "/retention/policy").json()

    assert (shown["messages"], shown["version"], shown["pending"]) == ("P30D", 1, None)


def test_two_keys_of_one_person_are_one_person(alice, issue):
    alice("PUT", "/retention/policy", {**POLICY, "messages": "P30D"})

    answer = issue(tenant=alice, person="alice")("POST", "/retention/policy/approve", {"version": 1})

    assert (answer.status_code, answer.json()["code"]) == (409, "same_person")


def test_new_proposal_takes_the_place_of_the_old_one(alice, bob):
    alice("PUT", "/retention/policy", {**POLICY, "messages": "P30D"})
    alice("PUT", "/retention/policy", POLICY)

    answer = bob("POST", "/retention/policy/approve", {"version": 1})

    assert answer.status_code == 409
    assert alice("GET", "/retention/policy").json()["pending"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"archive": "P30D"}, "archive"),
        ({"messages": "P0D"}, "messages"),
        ({"summaries": "-P1D"}, "summaries"),
        ({"messages": "PT90H"}, "messages"),
        ({"messages": "90"}, "messages"),
        ({"legal_minimum": "P8Y", "legal_basis": "law"}, "legal_minimum"),
        ({"legal_minimum": "P1Y"}, "legal_basis"),
        ({"legal_minimum": "P1D", "legal_basis": "law", "archive_mode": "none"}, "archive_mode"),
        ({"legal_minimum": "P1Y", "legal_basis": "law", "archive_mode": "scrubbed"}, "archive_mode"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"archive_mode": "shredded"}, "archive_mode"),
        ({"tenant": "x"}, "tenant"),
    ],
)
def test_contradictory_policy_is_refused_with_the_reason(alice, changes, field):
    answer = alice("PUT", "/retention/policy", {**POLICY, **changes})

    assert answer.status_code == 400
    assert field in answer.content.decode()
    assert alice("GET", "/retention/policy").json()["version"] == 0


def test_policy_needs_the_scope_and_the_denial_is_recorded(alice, issue):
    reader = issue("read", "write", "import", tenant=alice, person="carol")

    for method, path in [("GET", "/retention/policy"), ("PUT", "/retention/policy"), ("GET", "/holds")]:
        assert reader(method, path, POLICY if method == "PUT" else None).status_code == 403

    assert AuditEvent.objects.using("ops").filter(action="api.denied", actor="carol").count() == 3


def test_changes_of_policy_are_audited(alice, bob):
    alice("PUT", "/retention/policy", {**POLICY, "messages": "P30D"})
    bob("POST", "/retention/policy/approve", {"version": 1})

    events = AuditEvent.objects.using("ops").filter(object_type="retention_policy").order_by("id")
    assert list(events.values_list("actor", "action")) == [
        ("alice", "policy.proposed"),
        ("bob", "policy.approved"),
    ]


def test_preview_takes_a_policy_that_is_not_in_force(alice):
    session = alice("POST", "/sessions", {"customer_id": "c1", "created_at": ago(50).isoformat()}).json()
    message = {"role": "user", "content": "hi", "created_at": ago(40).isoformat()}
    sent = alice("POST", f"/sessions/{session['id']}/messages", message).json()

    now = alice("POST", "/retention/preview").json()
    then = alice("POST", "/retention/preview", {"policy": {**POLICY, "messages": "P30D"}}).json()

    assert now["classes"]["messages"] == {"candidates": 0, "held": 0, "samples": []}
    assert then["classes"]["messages"] == {"candidates": 1, "held": 0, "samples": [sent["id"]]}
    assert set(now["classes"]) == {"messages", "summaries", "archive"}
    assert alice("POST", "/retention/preview", {"policy": {**POLICY, "archive": "P1D"}}).status_code == 400
