from datetime import timedelta

import pytest

from conversations.models import AuditEvent
from conversations.principals import SYSTEM
from retention.enums import RecordClass
from retention.services.purges.runs import purge
from tests.retention.factories import ago

HOLD = {"matter": "Case 7", "reason": "A claim was filed."}


def converse(caller, *days, customer="c1"):
    body = {"customer_id": customer, "created_at": ago(max(days) + 1).isoformat()}
    session = caller("POST", "/sessions", body).json()
    messages = [
        {"role": "user", "content": f"It came {day} days ago", "created_at": ago(day).isoformat()}
        for day in days
    ]
    stored = caller("POST", f"/sessions/{session['id']}/messages", {"messages": messages}).json()
    return session["id"], [message["id"] for message in stored["data"]]


def test_hold_is_in_force_when_it_is_answered(alice):
    session, (message,) = converse(alice, 1)

    placed = alice("POST", "/holds", {**HOLD, "customer_id": "c1"})

    assert placed.status_code == 201
    assert placed.json()["customer_id"] == "c1"
    assert alice("DELETE", f"/messages/{message}").json()["code"] == "held"
    assert alice("DELETE", f"/sessions/{session}").json()["code"] == "held"
    assert alice("PATCH", f"/messages/{message}", {"intent": "x"}).json()["code"] == "held"
    assert alice("GET", f"/sessions/{session}").json()["held"] is True
    assert alice("GET", f"/holds/{placed.json()['id']}").json() == placed.json()


@pytest.mark.parametrize("scope", [{}, {"customer_id": "c1"}])
def test_held_customers_data_and_baseline_stay_as_they_are(alice, scope):
    baseline = {"session_count": 3, "message_count": 9}
    alice("PUT", "/customers/c1", {"metadata": {"tier": "gold"}, "language": "en"})
    alice("PUT", "/customers/c1/summary", baseline)
    alice("POST", "/holds", {**HOLD, **scope})
    before = [alice("GET", f"/customers/c1{rest}").json() for rest in ("", "/summary")]

    refused = [
        alice("PUT", "/customers/c1", {"metadata": {"tier": "none"}, "language": "en"}),
        alice("PUT", "/customers/c1"),
        alice("PUT", "/customers/c1/summary", {**baseline, "message_count": 1}),
        alice("DELETE", "/customers/c1/summary"),
    ]

    assert {(one.status_code, one.json()["code"]) for one in refused} == {(409, "held")}
    assert [alice("GET", f"/customers/c1{rest}").json() for rest in ("", "/summary")] == before
    same = alice("PUT", "/customers/c1", {"metadata": {"tier": "gold"}, "language": "en"})
    assert same.status_code == 200  # nothing is lost by saying it again


def test_hold_of_a_session_leaves_its_customer_free(alice):
    session, _ = converse(alice, 1)
    alice("POST", "/holds", {**HOLD, "session_id": session})

    assert alice("PUT", "/customers/c1", {"metadata": {"tier": "gold"}}).status_code == 200


def test_held_portrait_keeps_every_version(alice, bob, settings):
    settings.PORTRAIT_HISTORY = 2
    for value in range(3):
        alice("PUT", "/customers/c1/preferences/colour", {"value": value})
    hold = alice("POST", "/holds", {**HOLD, "customer_id": "c1"}).json()["id"]

    alice("PUT", "/customers/c1/preferences", {"preferences": {"size": "L"}})
    alice("DELETE", "/customers/c1/preferences")
    alice("PATCH", "/customers/c1/portrait", {"summary": "Came back."})

    def kept():
        versions = alice("GET", "/customers/c1/portrait/history").json()["data"]
        return [one["preferences"] for one in versions]

    assert kept() == [{}, {}, {"size": "L"}, {"colour": 2}, {"colour": 1}]
    settings.HOLD_GRACE = timedelta(0)
    for person in (alice, bob):
        person("POST", f"/holds/{hold}/release", {"reason": "settled"})
    alice("PUT", "/customers/c1/preferences/size", {"value": "M"})
    assert kept() == [{"size": "M"}, {}]


def test_hold_lists_everything_it_covers_wherever_it_lies(alice, settings):
    _, (archived,) = converse(alice, 100)
    purge(tenant_id=alice.tenant_id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    hold = alice("POST", "/holds", HOLD).json()["id"]
    _, (beyond, live) = converse(alice, 99, 1)

    listed = alice("GET", f"/holds/{hold}/messages").json()

    assert [(one["id"], one["state"]) for one in listed["data"]] == [
        (live, "live"),
        (beyond, "beyond_use"),
        (archived, "archived"),
    ]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (live, archived, False)


def test_pages_of_held_messages_meet(alice):
    hold = alice("POST", "/holds", HOLD).json()["id"]
    _, messages = converse(alice, 5, 4, 3, 2, 1)
    newest_first = messages[::-1]
    path = f"/holds/{hold}/messages?limit=2"

    first = alice("GET", path).json()
    second = alice("GET", f"{path}&after={first['last_id']}").json()
    back = alice("GET", f"{path}&before={second['last_id']}").json()
    oldest = alice("GET", f"{path}&order=asc").json()

    assert [one["id"] for one in first["data"]] == newest_first[:2]
    assert [one["id"] for one in second["data"]] == newest_first[2:4]
    assert [one["id"] for one in back["data"]] == newest_first[1:3]
    assert [one["id"] for one in oldest["data"]] == messages[:2]
    assert (first["has_more"], back["has_more"]) == (True, True)


def test_release_takes_two_people(alice, bob, settings):
    settings.HOLD_GRACE = timedelta(days=30)
    path = f"/holds/{alice('POST', '/holds', HOLD).json()['id']}/release"

    asked = alice("POST", path, {"reason": "settled"})
    same = alice("POST", path, {"reason": "settled"})
    released = bob("POST", path, {"reason": "settled"})
    again = bob("POST", path, {"reason": "settled"})

    assert (asked.status_code, asked.json()["state"]) == (202, "release_requested")
    assert (same.status_code, same.json()["code"]) == (409, "same_person")
    assert (released.status_code, released.json()["state"]) == (200, "released")
    assert released.json()["grace_until"] > released.json()["released_at"]
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"customer_id": "nobody"}, 404),
        ({"session_id": "0190a0a0-0000-7000-8000-000000000000"}, 404),
        ({"start_time": "2026-02-01T00:00:00Z", "end_time": "2026-01-01T00:00:00Z"}, 400),
        ({"reason": ""}, 400),
        ({"matter": "  "}, 400),
        ({"query": "x"}, 400),
    ],
)
def test_hold_that_makes_no_sense_is_refused_and_changes_nothing(alice, changes, status):
    answer = alice("POST", "/holds", {**HOLD, **changes})

    assert answer.status_code == status
    assert alice("GET", "/holds").json()["data"] == []


def test_strangers_see_no_hold(alice, stranger):
    hold = alice("POST", "/holds", HOLD).json()["id"]

    assert stranger("GET", f"/holds/{hold}").status_code == 404
    assert stranger("GET", f"/holds/{hold}/messages").status_code == 404
    assert stranger("POST", f"/holds/{hold}/release", {"reason": "r"}).status_code == 404
    assert stranger("GET", "/holds").json()["data"] == []


def test_looking_at_holds_leaves_a_trace(alice):
    hold = alice("POST", "/holds", HOLD).json()["id"]
    alice("GET", f"/holds/{hold}/messages")

    actions = AuditEvent.objects.using("ops").filter(object_id=hold).values_list("action", flat=True)
    assert set(actions) == {"hold.placed", "hold.messages_listed"}
