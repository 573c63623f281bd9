"""`/sessions` as `API.md` section 2 has it."""

import pytest

from tests.conversations.api.conftest import Caller


def make(caller: Caller, **fields):
    response = caller("POST", "/sessions", fields)
    assert response.status_code == 201, response.content
    return response.json()


def test_create_answers_the_whole_session(caller):
    response = caller(
        "POST", "/sessions", {"external_id": "s1", "customer_id": "ann", "channel": "web", "title": "Hi"}
    )

    assert response.status_code == 201
    session = response.json()
    assert session["object"] == "session"
    assert (session["external_id"], session["customer_id"], session["channel"]) == ("s1", "ann", "web")
    assert (session["status"], session["message_count"], session["held"]) == ("open", 0, False)
    assert session["created_at"].endswith("Z")


def test_create_with_a_known_external_id_returns_that_session(caller):
    first = make(caller, external_id="s1")

    response = caller("POST", "/sessions", {"external_id": "s1", "channel": "other"})

    assert response.status_code == 200
    assert response.json() == first


@pytest.mark.parametrize("alias", ["thread_id", "conversation_id"])
def test_create_takes_aliases(caller, alias):
    session = make(caller, **{alias: "t1", "user_id": "ann"})

    assert (session["external_id"], session["customer_id"]) == ("t1", "ann")


def test_create_refuses_two_names_that_differ(caller):
    response = caller("POST", "/sessions", {"customer_id": "ann", "user_id": "bob"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "user_id"
    assert caller("GET", "/sessions").json()["data"] == []


def test_create_scrubs_the_title(caller):
    session = make(caller, title="Call me: ann@example.com")

    assert "ann@example.com" not in session["title"]


def test_created_at_needs_the_import_scope(issue):
    writer = issue("read", "write")

    response = writer("POST", "/sessions", {"created_at": "2024-01-01T00:00:00Z"})

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert writer("GET", "/sessions").json()["data"] == []


def test_created_at_is_kept_and_never_in_the_future(caller):
    old = make(caller, created_at="2024-01-01T00:00:00.123456Z")

    response = caller("POST", "/sessions", {"created_at": "2124-01-01T00:00:00Z"})

    assert old["created_at"] == "2024-01-01T00:00:00.123456Z"
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("customer_id", "ann"),
        ("user_id", "ann"),
        ("external_id", "s1"),
        ("channel", "web"),
        ("language", "en"),
        ("outlet_id", "7"),
    ],
)
def test_list_filters(caller, parameter, value):
    wanted = make(caller, external_id="s1", customer_id="ann", channel="web", language="en", outlet_id="7")
    make(caller, external_id="s2", customer_id="bob", channel="app", language="zh", outlet_id="8")

    data = caller("GET", f"/sessions?{parameter}={value}").json()["data"]

    assert [session["id"] for session in data] == [wanted["id"]]


def test_list_filters_by_status_and_time(caller):
    old = make(caller, created_at="2024-01-01T00:00:00Z")
    new = make(caller)
    caller("POST", f"/sessions/{old['id']}/close")

    def ids(query):
        return [session["id"] for session in caller("GET", f"/sessions?{query}").json()["data"]]

    assert ids("status=closed") == [old["id"]]
    assert ids("started_after=2024-06-01T00:00:00Z") == [new["id"]]
    assert ids("end_time=2024-06-01T00:00:00Z") == [old["id"]]


def test_list_pages_by_keyset_newest_first(caller):
    made = [make(caller, external_id=f"s{n}")["id"] for n in range(5)]

    first = caller("GET", "/sessions?limit=2").json()
    second = caller("GET", f"/sessions?limit=2&after={first['last_id']}").json()
    back = caller("GET", f"/sessions?limit=2&before={second['first_id']}").json()

    assert [s["id"] for s in first["data"]] == made[:2:-1]
    assert [s["id"] for s in second["data"]] == made[2:0:-1]
    assert (first["has_more"], second["has_more"]) == (True, True)
    assert [s["id"] for s in back["data"]] == [s["id"] for s in first["data"]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "nonsense=1", "status=lost", "after=abc"]
)
def test_list_refuses_bad_parameters(caller, query):
    response = caller("GET", f"/sessions?{query}")

    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_patch_merges_deeply_and_null_removes(caller):
    session = make(caller, metadata={"a": {"b": 1, "c": 2}}, channel="web")

    changed = caller(
        "PATCH", f"/sessions/{session['id']}", {"metadata": {"a": {"b": None, "d": 3}}, "channel": None}
    )

    assert changed.status_code == 200
    assert changed.json()["metadata"] == {"a": {"c": 2, "d": 3}}
    assert changed.json()["channel"] is None


def test_patch_names_the_customer_once(caller):
    session = make(caller)
    caller("POST", f"/sessions/{session['id']}/messages", {"role": "user", "content": "hello"})

    first = caller("PATCH", f"/sessions/{session['id']}", {"customer_id": "ann"})
    second = caller("PATCH", f"/sessions/{session['id']}", {"customer_id": "bob"})

    assert (first.status_code, first.json()["customer_id"]) == (200, "ann")
    assert (second.status_code, second.json()["code"]) == (409, "conflict")
    messages = caller("GET", f"/sessions/{session['id']}/messages").json()["data"]
    assert [(m["customer_id"], m["content"]) for m in messages] == [("ann", "hello")]


@pytest.mark.parametrize(
    "field", ["external_id", "created_at", "status", "message_count", "tenant_id", "held"]
)
def test_patch_refuses_what_cannot_be_changed(caller, field):
    session = make(caller)

    response = caller("PATCH", f"/sessions/{session['id']}", {field: "x"})

    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    assert caller("GET", f"/sessions/{session['id']}").json() == session


def test_close_merges_outcomes_and_an_append_opens_again(caller):
    path = f"/sessions/{make(caller)['id']}"

    closed = caller("POST", f"{path}/close", {"outcome": {"success": True, "entities": ["Paradise"]}}).json()
    again = caller("POST", f"{path}/close", {"outcome": {"issue_type": "stale_events"}}).json()
    caller("POST", f"{path}/messages", {"role": "user", "content": "it is back"})
    reopened = caller("GET", path).json()

    assert (closed["status"], closed["outcome"]) == ("closed", {"success": True, "entities": ["Paradise"]})
    assert again["outcome"] == {"success": True, "entities": ["Paradise"], "issue_type": "stale_events"}
    assert (reopened["status"], reopened["closed_at"]) == ("open", None)


def test_close_without_a_body_closes(caller):
    response = caller("POST", f"/sessions/{make(caller)['id']}/close")

    assert (response.status_code, response.json()["status"]) == (200, "closed")


def test_delete_hides_everything_at_once(caller):
    session = make(caller, external_id="s1")
    path = f"/sessions/{session['id']}"
    message = caller("POST", f"{path}/messages", {"role": "user", "content": "the secret pear"}).json()

    response = caller("DELETE", path)

    assert response.status_code == 202
    assert response.json()["object"] == "erasure_case"
    for gone in (path, f"{path}/messages", f"{path}/window", f"/messages/{message['id']}"):
        assert caller("GET", gone).status_code in (404, 410), gone
    assert caller("POST", f"{path}/context", {"query": "pear"}).status_code in (404, 410)
    assert caller("GET", "/sessions").json()["data"] == []
    assert caller("POST", "/search", {"query": "pear"}).json()["data"] == []
    assert caller("POST", f"{path}/messages", {"role": "user", "content": "late"}).status_code in (404, 410)


def test_delete_frees_the_external_id(caller):
    session = make(caller, external_id="s1")
    caller("DELETE", f"/sessions/{session['id']}")

    again = caller("POST", "/sessions", {"external_id": "s1"})

    assert again.status_code == 201
    assert again.json()["id"] != session["id"]


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"title": "mine"}),
        ("DELETE", "", None),
        ("POST", "/close", {}),
        ("GET", "/messages", None),
        ("POST", "/messages", {"role": "user", "content": "x"}),
        ("GET", "/window", None),
        ("POST", "/context", {"query": "x"}),
    ],
)
def test_another_tenants_session_does_not_exist(issue, method, tail, body):
    owner, stranger = issue(), issue()
    session = make(owner)

    foreign = stranger(method, f"/sessions/{session['id']}{tail}", body)
    unknown = stranger(method, f"/sessions/01900000-0000-7000-8000-000000000000{tail}", body)

    assert foreign.status_code == 404
    assert {**foreign.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert owner("GET", f"/sessions/{session['id']}").json() == session


def test_patches_cannot_grow_an_object_over_its_limit(caller):
    session = f"/sessions/{caller('POST', '/sessions', {'context': {'a': 'x' * 40_000}}).json()['id']}"

    refused = caller("PATCH", session, {"title": "new", "context": {"b": "x" * 40_000}})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "context")
    assert caller("GET", session).json()["title"] is None


def test_times_with_an_offset_are_answered_in_utc(caller):
    session = caller("POST", "/sessions", {"created_at": "2026-01-01T00:00:00+08:00"}).json()

    assert session["created_at"] == "2025-12-31T16:00:00Z"
