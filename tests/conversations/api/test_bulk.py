"""`/sessions/bulk` and `/messages/bulk`: all or nothing, in order."""

import pytest

from conversations.models import Message, Session
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller

NOWHERE = "01890000-0000-7000-8000-000000000000"


def bulk(caller: Caller, kind: str, **lists):
    return caller("POST", f"/{kind}/bulk", lists)


@pytest.fixture
def sessions(caller) -> list[str]:
    return [
        s["id"]
        for s in bulk(caller, "sessions", create=[{"title": f"t{n}"} for n in range(3)]).json()["created"]
    ]


@pytest.fixture
def messages(caller, sessions) -> list[str]:
    given = [{"role": "user", "content": f"m{n}", "metadata": {"n": n}} for n in range(3)]
    stored = caller("POST", f"/sessions/{sessions[0]}/messages", {"messages": given}).json()["data"]
    return [message["id"] for message in stored]


def titles(caller: Caller) -> list[str | None]:
    with tenant_scope(caller.tenant_id):
        return list(Session.objects.live().order_by("id").values_list("title", flat=True))


def test_sessions_are_created_updated_and_deleted_in_order(caller, sessions):
    response = bulk(
        caller,
        "sessions",
        create=[{"external_id": "b", "channel": "web"}, {"external_id": "a"}],
        update=[{"id": sessions[2], "title": "second"}, {"id": sessions[1], "metadata": {"x": 1}}],
        delete=[sessions[0]],
    )

    assert response.status_code == 200, response.content
    body = response.json()
    assert body["object"] == "bulk"
    assert [s["external_id"] for s in body["created"]] == ["b", "a"]
    assert [(s["id"], s["title"], s["metadata"]) for s in body["updated"]] == [
        (sessions[2], "second", {}),
        (sessions[1], "t1", {"x": 1}),
    ]
    assert body["deleted"] == [sessions[0]]
    assert [case["object"] for case in body["erasures"]] == ["erasure_case"]
    assert caller("GET", f"/sessions/{sessions[0]}").status_code == 410


def test_creating_what_is_there_returns_it(caller):
    first = bulk(caller, "sessions", create=[{"external_id": "a"}]).json()["created"]

    assert (
        bulk(caller, "sessions", create=[{"external_id": "a"}, {"external_id": "a"}]).json()["created"]
        == first * 2
    )


@pytest.mark.parametrize(
    ("lists", "status"),
    [
        ({"create": [{"title": "new"}], "update": [{"id": NOWHERE, "title": "x"}]}, 404),
        ({"create": [{"title": "new"}], "delete": [NOWHERE]}, 404),
        ({"create": [{"title": "new"}, {"external_id": "x", "thread_id": "y"}]}, 400),
        ({"create": [{"title": "new"}, {"title": 3}]}, 400),
        ({"create": [{"title": "new"}, {"created_at": "2999-01-01T00:00:00Z"}]}, 400),
    ],
)
def test_what_fails_leaves_nothing_behind(caller, sessions, lists, status):
    assert bulk(caller, "sessions", **lists).status_code == status
    assert titles(caller) == ["t0", "t1", "t2"]


def test_a_broken_element_is_named_by_its_place(caller):
    response = bulk(caller, "sessions", create=[{}, {"external_id": "x", "thread_id": "y"}])

    assert [error["field"] for error in response.json()["errors"]] == ["create[1].thread_id"]


@pytest.mark.parametrize("kind", ["sessions", "messages"])
@pytest.mark.parametrize("lists", [{}, {"update": []}, {"delete": []}])
def test_nothing_to_do_is_refused(caller, kind, lists):
    assert bulk(caller, kind, **lists).status_code == 400


def test_more_than_a_batch_is_refused(caller, settings):
    settings.MAX_BATCH = 2

    assert bulk(caller, "sessions", create=[{}] * 3).status_code == 400
    assert titles(caller) == []


def test_deleting_one_thing_twice_is_refused(caller, sessions):
    response = bulk(caller, "sessions", delete=[sessions[0], sessions[0]])

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "delete[1]"


def test_created_at_needs_the_import_scope(issue):
    writer = issue("read", "write")

    assert bulk(writer, "sessions", create=[{"created_at": "2024-01-01T00:00:00Z"}]).status_code == 403
    assert titles(writer) == []


def test_messages_are_annotated_and_deleted(caller, sessions, messages):
    response = bulk(
        caller,
        "messages",
        update=[
            {"id": messages[2], "intent": "order", "intent_confidence": 0.5},
            {
                "id": messages[0],
                "metadata": {"m": None, "x": [1]},
                "agent_responses": {"sales": {"ok": True}},
            },
            {"id": messages[2], "metadata": {"n": None}},
        ],
        delete=[messages[1]],
    )

    assert response.status_code == 200, response.content
    body = response.json()
    assert [m["id"] for m in body["updated"]] == [messages[2], messages[0], messages[2]]
    assert (body["updated"][0]["intent"], body["updated"][0]["metadata"]) == ("order", {})
    assert (body["updated"][1]["metadata"], body["updated"][1]["agent_responses"]) == (
        {"n": 0, "x": [1]},
        {"sales": {"ok": True}},
    )
    assert body["deleted"] == [messages[1]]
    left = caller("GET", f"/sessions/{sessions[0]}/window").json()["data"]
    assert [(m["id"], m["intent"]) for m in left] == [(messages[0], None), (messages[2], "order")]


def test_an_update_is_what_the_single_call_does(caller, messages):
    patch = {"metadata": {"n": {"deep": None, "er": 1}}, "agent_responses": None, "intent": "x"}
    caller("PATCH", f"/messages/{messages[0]}", patch)
    bulk(caller, "messages", update=[{"id": messages[1], **patch}])

    single, many = (caller("GET", f"/messages/{message_id}").json() for message_id in messages[:2])
    assert [single[name] for name in ("metadata", "agent_responses", "intent")] == [
        many[name] for name in ("metadata", "agent_responses", "intent")
    ]


@pytest.mark.parametrize("change", [{"update": [{"id": NOWHERE, "intent": "x"}]}, {"delete": [NOWHERE]}])
def test_an_unknown_message_fails_them_all(caller, messages, change):
    lists = {
        "update": [{"id": messages[0], "intent": "x"}, *change.get("update", [])],
        "delete": change.get("delete", []),
    }

    assert bulk(caller, "messages", **lists).status_code == 404
    with tenant_scope(caller.tenant_id):
        assert not Message.objects.filter(intent__isnull=False).exists()


@pytest.mark.parametrize("kind", ["sessions", "messages", "memories"])
@pytest.mark.parametrize("change", ["update", "delete"])
def test_what_is_not_there_is_named_by_its_place(caller, sessions, messages, kind, change):
    memory = caller("POST", "/memories", {"content": "likes tea"}).json()["id"]
    known = {"sessions": sessions[0], "messages": messages[0], "memories": memory}[kind]
    asked = [known, NOWHERE]

    answer = bulk(
        caller, kind, **{change: [{"id": i, "metadata": {}} for i in asked] if change == "update" else asked}
    )

    assert (answer.status_code, answer.json()["detail"]) == (404, f"{change}[1]: Not found.")


def test_another_tenants_rows_do_not_exist(caller, issue, sessions, messages):
    stranger = issue()

    assert bulk(stranger, "sessions", update=[{"id": sessions[0], "title": "x"}]).status_code == 404
    assert bulk(stranger, "messages", update=[{"id": messages[0], "intent": "x"}]).status_code == 404
    assert bulk(stranger, "messages", delete=[messages[0]]).status_code == 404
    assert titles(caller) == ["t0", "t1", "t2"]


def test_content_cannot_be_changed(caller, messages):
    response = bulk(caller, "messages", update=[{"id": messages[0], "content": "other"}])

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "unknown_field"


def test_what_is_held_stays_as_it_is(caller, sessions, messages):
    assert (
        caller("POST", "/holds", {"matter": "m", "reason": "r", "session_id": sessions[0]}).status_code == 201
    )

    assert bulk(caller, "messages", update=[{"id": messages[0], "intent": "x"}]).status_code == 409
    assert bulk(caller, "messages", delete=[messages[0]]).status_code == 409
    assert bulk(caller, "sessions", create=[{}], delete=[sessions[0]]).status_code == 409
    assert titles(caller) == ["t0", "t1", "t2"]


def test_a_repeated_key_repeats_the_answer(caller):
    first, second = (
        caller("POST", "/sessions/bulk", {"create": [{}]}, Idempotency_Key="k").json()["created"]
        for _ in range(2)
    )

    assert first == second
    assert len(titles(caller)) == 1


@pytest.mark.parametrize("count", [1, 3])
def test_annotating_takes_the_same_number_of_statements(
    caller, messages, count, django_assert_max_num_queries
):
    with django_assert_max_num_queries(18):
        bulk(
            caller, "messages", update=[{"id": message_id, "intent": "x"} for message_id in messages[:count]]
        )
