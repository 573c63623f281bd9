"""Customers found by what is counted of them."""

from datetime import timedelta

import pytest

from conversations import ids


@pytest.fixture
def counted(caller) -> None:
    """Ann asked twice and praised once in two sessions, Bob asked once, Cid is known but never spoke."""
    talks = [("ann", ["ask", "ask"]), ("ann", ["praise"]), ("bob", ["ask"])]
    for customer, intents in talks:
        session = caller("POST", "/sessions", {"customer_id": customer, "channel": "web"}).json()["id"]
        messages = [{"role": "user", "content": "hello", "intent": intent} for intent in intents]
        assert caller("POST", f"/sessions/{session}/messages", {"messages": messages}).status_code == 201
    caller("PUT", "/customers/cid", {})


def found(caller, filter: dict, **rest) -> list[str]:
    response = caller("POST", "/summaries/query", {"filter": filter, **rest})
    assert response.status_code == 200, response.content
    return [row["customer_id"] for row in response.json()["data"]]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, ["bob", "ann"]),
        ({"customer_id": "ann"}, ["ann"]),
        ({"user_id": {"$ne": "ann"}}, ["bob"]),
        ({"session_count": {"$gte": 2}}, ["ann"]),
        ({"message_count": 1}, ["bob"]),
        ({"intents.ask": {"$gte": 1}}, ["bob", "ann"]),
        ({"intents.praise": {"$exists": True}}, ["ann"]),
        ({"last_interaction_at": {"$gt": "2020-01-01T00:00:00Z"}}, ["bob", "ann"]),
        ({"first_interaction_at": {"$lt": "2020-01-01T00:00:00Z"}}, []),
    ],
)
def test_summaries_are_found_counted_and_there(caller, counted, filter, expected):
    assert found(caller, filter) == expected
    assert caller("POST", "/summaries/count", {"filter": filter}).json() == {"count": len(expected)}
    assert caller("POST", "/summaries/exists", {"filter": filter}).json() == {"exists": bool(expected)}


def test_a_summary_is_shown_as_below_its_customer(caller, counted):
    (shown,) = caller("POST", "/summaries/query", {"filter": {"customer_id": "ann"}}).json()["data"]

    assert shown == caller("GET", "/customers/ann/summary").json()
    assert (shown["session_count"], shown["intents"]) == (2, {"ask": 2, "praise": 1})


@pytest.mark.parametrize("order", [None, ["-created_at"], ["-id"], ["-created_at", "id"]])
def test_pages_of_summaries_follow_each_other(caller, counted, order):
    rest = {"order_by": order} if order else {}
    first = caller("POST", "/summaries/query", {"filter": {}, "limit": 1, **rest}).json()

    assert ([row["customer_id"] for row in first["data"]], first["has_more"]) == (["bob"], True)
    assert found(caller, {}, limit=1, after=first["last_id"], **rest) == ["ann"]


def test_summary_of_somebody_erased_is_not_found(caller, counted):
    caller("DELETE", "/customers/ann")

    assert found(caller, {}) == ["bob"]


def test_other_tenants_summaries_are_not_found(issue, counted):
    assert found(issue(), {}) == []


def test_summaries_over_are_neither_listed_nor_counted_nor_there(caller, counted, time_machine):
    """Two years after the last word, whether or not a purge has run; a new word brings the customer back."""
    time_machine.move_to(ids.now() + timedelta(days=366 * 2), tick=True)

    for filter in ({}, {"customer_id": "ann"}, {"intents.ask": {"$gte": 1}}):
        assert found(caller, filter) == []
        assert caller("POST", "/summaries/count", {"filter": filter}).json() == {"count": 0}
        assert caller("POST", "/summaries/exists", {"filter": filter}).json() == {"exists": False}

    caller("POST", "/sessions", {"customer_id": "ann"})

    assert found(caller, {}) == ["ann"]
    assert caller("POST", "/summaries/count", {"filter": {}}).json() == {"count": 1}
    assert caller("POST", "/summaries/exists", {"filter": {"customer_id": "ann"}}).json() == {"exists": True}
