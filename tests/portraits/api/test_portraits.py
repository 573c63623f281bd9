"""Portraits over HTTP: merged, versioned, under a precondition, and without what lost its evidence."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connections

EMPTY = {
    "preferences": {},
    "purchase_history": {},
    "traits": [],
    "sentiment_score": None,
    "sentiment_trend": None,
    "summary": None,
}


def said(caller, customer="ann", *texts: str, **fields) -> list[str]:
    """Messages of a new session of the customer; their ids."""
    session = caller("POST", "/sessions", {"customer_id": customer}).json()["id"]
    messages = [{"role": "user", "content": text, **fields} for text in texts or ("hello",)]
    made = caller("POST", f"/sessions/{session}/messages", {"messages": messages}).json()
    return [one["id"] for one in made["data"]]


def trait(name: str, value: object = "x", *sources: str) -> dict:
    return {"name": name, "value": value, "source_message_ids": list(sources)}


def names(portrait: dict) -> list[str]:
    return [one["name"] for one in portrait["traits"]]


def test_below_an_unknown_customer_there_is_nothing(caller):
    for path in (
        "portrait",
        "portrait/history",
        "preferences",
        "preferences/a",
        "summary",
        "sessions",
        "messages",
    ):
        assert caller("GET", f"/customers/ann/{path}").status_code == 404, path
    for path in ("preferences", "preferences/a", "summary"):
        assert caller("DELETE", f"/customers/ann/{path}").status_code == 404, path


def test_a_known_customer_without_a_portrait_has_an_empty_one(caller):
    caller("PUT", "/customers/ann", {})

    found = caller("GET", "/customers/ann/portrait")

    assert found.status_code == 200
    assert found["ETag"] == '"0"'
    assert found.json() == EMPTY | {
        "object": "portrait",
        "id": None,
        "customer_id": "ann",
        "version": 0,
        "created_at": None,
        "updated_at": None,
    }
    assert caller("GET", "/customers/ann/portrait/history").json()["data"] == []


def test_what_is_asserted_is_merged_and_makes_the_customer(caller):
    first = caller(
        "PATCH",
        "/customers/ann/portrait",
        {
            "preferences": {"music": {"genre": "jazz", "loud": True}, "seat": "aisle"},
            "purchase_history": {"orders": 3},
            "sentiment_score": -0.5,
            "summary": "Likes jazz.",
            "traits": [trait("skin_type", "dry")],
        },
    )
    second = caller(
        "PATCH",
        "/customers/ann/portrait",
        {"preferences": {"music": {"loud": None, "live": 1}, "seat": None}, "traits": [trait("age", 40)]},
    )

    assert (first.status_code, first["ETag"], second["ETag"]) == (200, '"1"', '"2"')
    found = caller("GET", "/customers/ann/portrait").json()
    assert found == second.json()
    assert found["preferences"] == {"music": {"genre": "jazz", "live": 1}}
    assert (found["purchase_history"], found["sentiment_score"], found["summary"]) == (
        {"orders": 3},
        -0.5,
        "Likes jazz.",
    )
    assert [(one["name"], one["value"], one["kind"]) for one in found["traits"]] == [
        ("age", 40, "asserted"),
        ("skin_type", "dry", "asserted"),
    ]


def test_null_takes_back(caller):
    caller(
        "PATCH",
        "/customers/ann/portrait",
        {"preferences": {"a": 1}, "summary": "x", "sentiment_score": 1, "traits": [trait("a"), trait("b")]},
    )

    one = caller("PATCH", "/customers/ann/portrait", {"traits": [{"name": "a", "value": None}]}).json()
    assert names(one) == ["b"]
    every = {
        "preferences": None,
        "purchase_history": None,
        "traits": None,
        "summary": None,
        "sentiment_score": None,
    }
    left = caller("PATCH", "/customers/ann/portrait", every).json()

    assert {name: left[name] for name in EMPTY} == EMPTY


def test_each_change_is_one_version_and_no_change_is_none(caller):
    for value in (1, 1, 2):
        caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": value}})

    history = caller("GET", "/customers/ann/portrait/history").json()

    assert [one["version"] for one in history["data"]] == [2, 1]
    assert [one["preferences"] for one in history["data"]] == [{"a": 2}, {"a": 1}]
    page = caller("GET", "/customers/ann/portrait/history?limit=1").json()
    assert page["has_more"]
    rest = caller("GET", f"/customers/ann/portrait/history?after={page['last_id']}").json()
    assert [one["version"] for one in rest["data"]] == [1]


def test_history_is_as_long_as_the_settings_say(caller, settings):
    settings.PORTRAIT_HISTORY = 3
    for value in range(6):
        caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": value}})

    versions = [one["version"] for one in caller("GET", "/customers/ann/portrait/history").json()["data"]]

    assert versions == [6, 5, 4]


@pytest.mark.parametrize("tag", ['"1"', '"7"', "*", '"x", "y"', "2"])
def test_another_version_is_a_failed_precondition(caller, tag):
    caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": 1}})
    caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": 2}})

    refused = caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": 3}}, if_match=tag)

    expected = 200 if tag == "*" else 412
    assert refused.status_code == expected
    assert caller("GET", "/customers/ann/portrait").json()["preferences"] == {"a": 3 if tag == "*" else 2}


def test_a_precondition_on_an_unknown_customer_makes_nobody(caller):
    refused = caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": 1}}, if_match='"1"')

    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert caller("GET", "/customers/ann").status_code == 404


def test_of_writers_who_read_the_same_version_one_wins(caller):
    caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": 0}})

    def write(number):
        try:
            return caller(
                "PATCH", "/customers/ann/portrait", {"preferences": {"a": number}}, if_match='"1"'
            ).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(write, range(1, 9)))

    assert sorted(statuses) == [200] + [412] * 7


def test_fifty_writers_of_different_keys_lose_nothing(caller):
    def write(number):
        try:
            path, body = "/customers/ann/portrait", {"preferences": {f"key{number}": number}}
            if number % 2:
                path, body = f"/customers/ann/preferences/key{number}", {"value": number}
            return caller("PUT" if number % 2 else "PATCH", path, body).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(write, range(50)))

    assert statuses == [200] * 50
    found = caller("GET", "/customers/ann/portrait").json()
    assert found["preferences"] == {f"key{number}": number for number in range(50)}
    assert found["version"] == 50


def test_a_portrait_under_a_slash(caller):
    caller("PATCH", "/customers/shop%2F7%2F%E5%AE%A2/portrait", {"preferences": {"a": 1}})

    found = caller("GET", "/customers/shop%2F7%2F%E5%AE%A2/portrait").json()

    assert (found["customer_id"], found["preferences"]) == ("shop/7/客", {"a": 1})
    assert caller("GET", "/customers/shop%2F7%2F%E5%AE%A2").json()["customer_id"] == "shop/7/客"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"traits": [{"name": "a", "value": 1, "source_message_ids": ["x"]}]}, "traits"),
        ({"traits": [{"name": "a", "value": 1, "source_message_ids": [str(uuid4())]}]}, "traits"),
        ({"traits": [{"name": "a", "value": 1}, {"name": "a", "value": 2}]}, "traits"),
        ({"traits": [{"name": "a", "value": "x" * 9000}]}, "traits[0].value"),
        ({"traits": [{"name": "a", "value": 1, "confidence": 2}]}, "traits[0].confidence"),
        ({"traits": [{"name": "", "value": 1}]}, "traits[0].name"),
        ({"traits": [{"name": "a", "value": 1, "kind": "inferred"}]}, "kind"),
        ({"sentiment_score": 1.5}, "sentiment_score"),
        ({"sentiment_score": "good"}, "sentiment_score"),
        ({"version": 7}, "version"),
        ({"preferences": []}, "preferences"),
        ({"preferences": {"a": "x" * 70_000}}, "preferences"),
        ({"purchase_history": {"a": "x" * 70_000}}, "purchase_history"),
    ],
)
def test_what_breaks_a_rule_is_refused_and_nothing_changes(caller, body, field):
    caller("PATCH", "/customers/ann/portrait", {"preferences": {"kept": 1}})
    before = caller("GET", "/customers/ann/portrait").json()

    refused = caller("PATCH", "/customers/ann/portrait", body)

    assert refused.status_code == 400, refused.json()
    assert field in refused.json()["errors"][0]["field"]
    assert caller("GET", "/customers/ann/portrait").json() == before


def test_evidence_is_the_customers_own_and_can_be_seen(caller, issue):
    own, gone = said(caller, "ann", "a", "b")
    (foreign,) = said(caller, "bob")
    (stranger,) = said(issue(), "ann")
    caller("DELETE", f"/messages/{gone}")

    for source in (foreign, stranger, gone):
        refused = caller("PATCH", "/customers/ann/portrait", {"traits": [trait("a", 1, own, source)]})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "unknown_evidence")
    assert caller("PATCH", "/customers/ann/portrait", {"traits": [trait("a", 1, own)]}).status_code == 200


def test_a_trait_goes_with_its_last_evidence_from_everywhere_at_once(caller):
    first, second = said(caller, "ann", "a", "b")
    session = caller("POST", "/sessions", {"customer_id": "ann"}).json()["id"]
    body = {
        "traits": [trait("canary", "yellow", first, second), trait("kept", "x", second), trait("bare", "y")]
    }
    caller("PATCH", "/customers/ann/portrait", body)

    caller("DELETE", f"/messages/{first}")
    one = caller("GET", "/customers/ann/portrait").json()
    assert names(one) == ["bare", "canary", "kept"]
    assert one["traits"][1]["source_message_ids"] == [second]

    caller("DELETE", f"/messages/{second}")
    assert names(caller("GET", "/customers/ann/portrait").json()) == ["bare"]
    history = caller("GET", "/customers/ann/portrait/history").json()["data"]
    assert [names(version) for version in history] == [["bare"]]
    context = caller("POST", f"/sessions/{session}/context").json()
    assert names(context["portrait"]) == ["bare"]
    assert "yellow" not in context["text"]


def test_a_trait_that_has_ended_is_not_current(caller):
    past = {
        "name": "pregnant",
        "value": True,
        "valid_from": "2025-01-01T00:00:00Z",
        "valid_to": "2025-09-01T00:00:00Z",
    }
    ahead = {"name": "on_holiday", "value": True, "valid_to": "2099-01-01T00:00:00Z"}

    found = caller("PATCH", "/customers/ann/portrait", {"traits": [past, ahead]}).json()

    assert names(found) == ["on_holiday"]


def test_the_latest_mood_counts_and_tells_where_it_goes(caller):
    for score in (-0.8, -0.6, 0.2, 0.6):
        found = caller("PATCH", "/customers/ann/portrait", {"sentiment_score": score}).json()

    assert (found["sentiment_score"], found["sentiment_trend"]) == (0.6, "improving")


def test_an_empty_preference_resource(caller):
    caller("PUT", "/customers/ann", {})

    assert caller("GET", "/customers/ann/preferences").json() == {
        "object": "preferences",
        "customer_id": "ann",
        "preferences": {},
        "created_at": None,
        "updated_at": None,
    }
    assert caller("GET", "/customers/ann/preferences/music").status_code == 404


def test_preferences_whole_and_one_at_a_time(caller):
    whole = caller("PUT", "/customers/ann/preferences", {"preferences": {"a": 1, "b": {"c": [2]}}})
    assert (whole.status_code, whole.json()["preferences"]) == (200, {"a": 1, "b": {"c": [2]}})

    one = caller("PUT", "/customers/ann/preferences/a%2Fb", {"value": None}).json()
    assert (one["object"], one["key"], one["value"]) == ("preference", "a/b", None)
    first = caller("GET", "/customers/ann/preferences/a").json()
    changed = caller("PUT", "/customers/ann/preferences/a", {"value": 2}).json()
    assert changed["created_at"] == first["created_at"]
    assert changed["updated_at"] > first["updated_at"]

    assert caller("DELETE", "/customers/ann/preferences/a").status_code == 204
    assert caller("DELETE", "/customers/ann/preferences/a").status_code == 404
    assert caller("GET", "/customers/ann/preferences").json()["preferences"] == {"a/b": None, "b": {"c": [2]}}
    replaced = caller("PUT", "/customers/ann/preferences", {"preferences": {"z": 0}}).json()
    assert (replaced["preferences"], replaced["created_at"]) == ({"z": 0}, whole.json()["created_at"])
    assert caller("DELETE", "/customers/ann/preferences").status_code == 204
    assert caller("GET", "/customers/ann/preferences").json()["preferences"] == {}


def test_one_and_true_are_different_values(caller):
    caller("PUT", "/customers/ann/preferences/a", {"value": 1})

    assert caller("PUT", "/customers/ann/preferences/a", {"value": True}).json()["value"] is True


def test_a_preference_has_a_name_that_every_call_takes(caller):
    refused = caller("PUT", f"/customers/ann/preferences/{'x' * 201}", {"value": 1})
    named = caller("PUT", f"/customers/ann/preferences/{'x' * 200}", {"value": 1})
    whole = caller("GET", "/customers/ann/preferences").json()["preferences"]

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "key")
    assert named.status_code == 200
    assert caller("PUT", "/customers/ann/preferences", {"preferences": whole}).status_code == 200


def test_preferences_of_another_tenant_do_not_exist(caller, issue):
    caller("PUT", "/customers/ann/preferences", {"preferences": {"a": 1}})

    assert issue()("GET", "/customers/ann/preferences").status_code == 404


def test_the_summary_counts_on_top_of_a_baseline(caller):
    said(caller, "ann", "a", "b", intent="buy")
    own = caller("GET", "/customers/ann/summary").json()
    assert (own["object"], own["session_count"], own["message_count"], own["intents"]) == (
        "summary",
        1,
        2,
        {"buy": 2},
    )

    baseline = {"session_count": 4, "intents": {"buy": 1}, "first_interaction_at": "2020-01-01T00:00:00Z"}
    counted = caller("PUT", "/customers/ann/summary", baseline).json()
    assert (counted["session_count"], counted["message_count"], counted["intents"]) == (5, 2, {"buy": 3})
    assert counted["first_interaction_at"] == "2020-01-01T00:00:00Z"

    assert caller("DELETE", "/customers/ann/summary").status_code == 204
    assert caller("GET", "/customers/ann/summary").json() == own


@pytest.mark.parametrize(
    "body",
    [
        {"session_count": -1},
        {"session_count": 1.5},
        {"intents": {"a": "many"}},
        {"customer_id": "bob"},
        {"first_interaction_at": "2021-01-01T00:00:00Z", "last_interaction_at": "2020-01-01T00:00:00Z"},
        {"last_interaction_at": "2999-01-01T00:00:00Z"},
        {"first_interaction_at": "1969-01-01T00:00:00Z"},
        {"languages": {"x" * 70_000: 1}},
    ],
)
def test_a_baseline_that_cannot_be_is_refused(caller, body):
    caller("PUT", "/customers/ann", {})
    before = caller("GET", "/customers/ann/summary").json()

    assert caller("PUT", "/customers/ann/summary", body).status_code == 400
    assert caller("GET", "/customers/ann/summary").json() == before


def test_reading_needs_read_and_writing_write(issue):
    reader = issue("read")
    writer = issue("write", tenant=reader)

    assert reader("PATCH", "/customers/ann/portrait", {}).status_code == 403
    assert reader("PUT", "/customers/ann/preferences", {"preferences": {}}).status_code == 403
    assert reader("PUT", "/customers/ann/summary", {}).status_code == 403
    assert writer("PUT", "/customers/ann/preferences", {"preferences": {}}).status_code == 200
    assert writer("GET", "/customers/ann/portrait").status_code == 403
