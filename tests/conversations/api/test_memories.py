"""Memories over HTTP: what is refused, what is found, and what is gone."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from conversations.mirror.drain import drain

DIMENSION = 256  # of the default profile


def unit(place: int) -> list[float]:
    return [1.0 if i == place else 0.0 for i in range(DIMENSION)]


def soon() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def past() -> str:
    return (datetime.now(UTC) - timedelta(seconds=1)).isoformat()


def contents(response) -> list[str]:
    return [hit["memory"]["content"] for hit in response.json()["data"]]


def test_a_memory_is_made_read_changed_and_forgotten(caller):
    made = caller(
        "POST", "/memories", {"content": "Likes light make-up", "customer_id": "ann", "metadata": {"a": 1}}
    )

    assert made.status_code == 201
    memory = made.json()
    assert (memory["object"], memory["kind"], memory["customer_id"]) == ("memory", "fact", "ann")
    path = f"/memories/{memory['id']}"
    assert caller("GET", path).json() == memory

    changed = caller("PATCH", path, {"content": "Likes bold make-up", "metadata": {"b": 2, "a": None}}).json()
    assert (changed["content"], changed["metadata"]) == ("Likes bold make-up", {"b": 2})

    assert caller("DELETE", path).status_code == 204
    gone = caller("GET", path)
    assert (gone.status_code, gone.json()["code"]) == (410, "erased")
    assert caller("DELETE", path).status_code == 410


def test_a_repeated_external_id_gives_the_stored_memory(caller):
    first = caller("POST", "/memories", {"content": "one", "external_id": "m1"})
    second = caller("POST", "/memories", {"content": "two", "external_id": "m1"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()


def test_an_expired_memory_makes_room_for_another_of_its_external_id(caller):
    caller("POST", "/memories", {"content": "one", "external_id": "m1", "expires_at": past()})

    again = caller("POST", "/memories", {"content": "two", "external_id": "m1"})

    assert (again.status_code, again.json()["content"]) == (201, "two")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"embedding": [1.0] * 3}, "embedding"),
        ({"embedding": [0.0] * DIMENSION}, "embedding"),
        ({"embedding": [1e300] * DIMENSION}, "embedding"),
        ({"embedding": [1e-30] * DIMENSION}, "embedding"),
        ({"embedding": []}, "embedding"),
        ({"embedding": [True] * DIMENSION}, "embedding"),
        ({"profile": "hash:none:7"}, "profile"),
        ({"source_message_ids": [str(uuid4())]}, "source_message_ids"),
        ({"kind": "rumour"}, "kind"),
        ({"content": "  "}, "content"),
        ({"colour": "red"}, "colour"),
        ({"user_id": "bob"}, "user_id"),
        ({"expires_at": "tomorrow"}, "expires_at"),
    ],
)
def test_what_breaks_a_rule_is_refused_and_nothing_is_stored(caller, fields, field):
    refused = caller("POST", "/memories", {"content": "x", "customer_id": "ann"} | fields)

    assert refused.status_code == 400, refused.json()
    assert field in refused.json()["errors"][0]["field"]
    assert caller("GET", "/memories").json()["data"] == []
    assert caller("GET", "/customers/ann").status_code == 404


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999"])
def test_numbers_that_json_does_not_have_are_refused(caller, number):
    body = b'{"content": "x", "embedding": [' + b", ".join([number] * DIMENSION) + b"]}"

    assert caller("POST", "/memories", body).status_code == 400


def test_a_search_needs_words_or_a_vector_of_the_profile(caller):
    for body in (
        {},
        {"query": " "},
        {"embedding": [1.0]},
        {"query": "x", "profile": "hash:none:7"},
        {"query": "x", "top_k": 101},
    ):
        assert caller("POST", "/memories/search", body).status_code == 400, body


def test_memories_are_found_by_words(caller):
    caller("POST", "/memories", {"content": "The repair cream is sold out"})
    caller("POST", "/memories", {"content": "Delivery takes three days"})

    found = caller("POST", "/memories/search", {"query": "repair cream", "top_k": 1})

    assert contents(found) == ["The repair cream is sold out"]
    assert found.json()["degraded"] == []


def test_memories_are_found_by_a_vector_of_ones_own(caller):
    for place in range(3):
        caller("POST", "/memories", {"content": f"number {place}", "embedding": unit(place)})

    found = caller("POST", "/memories/search", {"embedding": unit(1), "top_k": 2})

    assert contents(found)[0] == "number 1"
    assert found.json()["data"][0]["score"] == pytest.approx(1)
    assert found.json()["mode"] == "vector"


def test_words_and_vector_together_find_what_either_finds(caller):
    caller("POST", "/memories", {"content": "The cream is sold out", "embedding": unit(1)})
    caller("POST", "/memories", {"content": "Delivery takes three days", "embedding": unit(2)})

    found = caller("POST", "/memories/search", {"query": "cream", "embedding": unit(2)})

    assert set(contents(found)) == {"The cream is sold out", "Delivery takes three days"}


def test_a_list_of_a_customer_nobody_knows_is_empty(caller):
    caller("POST", "/memories", {"content": "Of the tenant"})

    found = caller("GET", "/memories?customer_id=nobody")

    assert (found.status_code, found.json()["data"]) == (200, [])


def test_a_search_keeps_to_its_customer_and_kind(caller):
    for customer, kind in (("ann", "fact"), ("ann", "note"), ("bob", "fact"), (None, "fact")):
        caller(
            "POST",
            "/memories",
            {"content": f"cream {customer} {kind}", "customer_id": customer, "kind": kind},
        )

    found = caller("POST", "/memories/search", {"query": "cream", "customer_id": "ann", "kind": "fact"})

    assert contents(found) == ["cream ann fact"]
    assert contents(caller("POST", "/memories/search", {"query": "cream", "customer_id": "nobody"})) == []


def test_an_expired_memory_is_gone_from_every_path_at_once(caller):
    session = caller("POST", "/sessions", {"customer_id": "ann"}).json()["id"]
    body = {
        "content": "The cream is sold out",
        "customer_id": "ann",
        "embedding": unit(1),
        "expires_at": soon(),
    }
    memory = caller("POST", "/memories", body).json()
    drain()
    paths = {
        "list": lambda: caller("GET", "/memories?customer_id=ann").json()["data"],
        "words": lambda: caller("POST", "/memories/search", {"query": "cream"}).json()["data"],
        "vector": lambda: caller("POST", "/memories/search", {"embedding": unit(1)}).json()["data"],
        "search": lambda: caller("POST", "/search", {"query": "cream"}).json()["data"],
        "context": lambda: caller("POST", f"/sessions/{session}/context", {"query": "cream"}).json()[
            "recalled"
        ],
        "count": lambda: caller("POST", "/memories/count", {"filter": {}}).json()["count"],
    }
    assert all(look() for look in paths.values())

    caller("PATCH", f"/memories/{memory['id']}", {"expires_at": past()})

    assert {name: look() for name, look in paths.items() if look()} == {}
    gone = caller("GET", f"/memories/{memory['id']}")
    assert (gone.status_code, gone.json()["code"]) == (410, "expired")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"create": [{"content": " "}]}, "create[0].content"),
        ({"update": [{"metadata": {}}, {"embedding": [1.0]}]}, "update[1].embedding"),
    ],
)
def test_bulk_says_which_of_many_is_wrong(caller, changes, field):
    kept = caller("POST", "/memories", {"content": "kept"}).json()
    asked = {**changes, "update": [{"id": kept["id"], **one} for one in changes.get("update", [])]}

    refused = caller("POST", "/memories/bulk", asked)

    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_bulk_changes_all_or_nothing(caller):
    kept = caller("POST", "/memories", {"content": "kept"}).json()
    doomed = caller("POST", "/memories", {"content": "doomed"}).json()

    refused = caller(
        "POST", "/memories/bulk", {"create": [{"content": "new"}, {"content": "x", "embedding": [1.0]}]}
    )
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == ["create[1].embedding"]
    assert len(caller("GET", "/memories").json()["data"]) == 2

    changed = caller(
        "POST",
        "/memories/bulk",
        {
            "create": [{"content": "first"}, {"content": "second", "customer_id": "ann"}],
            "update": [{"id": kept["id"], "content": "changed"}],
            "delete": [doomed["id"]],
        },
    ).json()
    assert [one["content"] for one in changed["created"]] == ["first", "second"]
    assert [one["content"] for one in changed["updated"]] == ["changed"]
    assert changed["deleted"] == [doomed["id"]]
    assert {one["content"] for one in caller("GET", "/memories").json()["data"]} == {
        "first",
        "second",
        "changed",
    }
    assert caller("POST", "/memories/bulk", {}).status_code == 400


def test_a_thousand_memories_in_one_call(caller):
    made = caller(
        "POST", "/memories/bulk", {"create": [{"content": f"fact number {i}"} for i in range(1000)]}
    )

    assert made.status_code == 200
    assert [one["content"] for one in made.json()["created"][:2]] == ["fact number 0", "fact number 1"]
    assert caller("POST", "/memories/count", {"filter": {}}).json() == {"count": 1000}


def test_memories_of_another_tenant_do_not_exist(caller, issue):
    stranger = issue()
    memory = caller("POST", "/memories", {"content": "secret cream", "embedding": unit(1)}).json()

    for method, body in (("GET", None), ("PATCH", {"kind": "note"}), ("DELETE", None)):
        assert stranger(method, f"/memories/{memory['id']}", body).status_code == 404
    assert contents(stranger("POST", "/memories/search", {"query": "cream"})) == []
    assert contents(stranger("POST", "/memories/search", {"embedding": unit(1)})) == []
    assert caller("GET", f"/memories/{memory['id']}").json() == memory


def test_a_memory_under_a_hold_is_not_changed(caller):
    memory = caller("POST", "/memories", {"content": "evidence", "customer_id": "ann"}).json()
    caller("POST", "/holds", {"matter": "case 7", "reason": "court order", "customer_id": "ann"})

    for method, body in (("PATCH", {"content": "other"}), ("DELETE", None)):
        refused = caller(method, f"/memories/{memory['id']}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "held")
    assert caller("GET", f"/memories/{memory['id']}").json() == memory


def test_the_same_request_with_a_key_makes_one_memory(caller):
    body = {"content": "once"}

    first = caller("POST", "/memories", body, idempotency_key="k1")
    second = caller("POST", "/memories", body, idempotency_key="k1")

    assert second.json() == first.json()
    assert second["Idempotency-Replayed"] == "true"
    assert len(caller("GET", "/memories").json()["data"]) == 1


@pytest.mark.parametrize("path", ["/search", "/memories/search"])
def test_a_blank_query_is_refused_by_its_name(caller, path):
    answer = caller("POST", path, {"query": "  "})

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["query"]
