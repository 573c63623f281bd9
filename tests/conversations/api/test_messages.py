"""Messages as `API.md` section 3 has them."""

import pytest

from conversations.models import Message
from conversations.tenancy import tenant_scope
from retention.services.erasures.execution import follow_cases
from tests.conversations.api.conftest import Caller


@pytest.fixture
def path(caller: Caller) -> str:
    return f"/sessions/{caller('POST', '/sessions', {'customer_id': 'ann'}).json()['id']}/messages"


def append(caller, path, **fields):
    return caller("POST", path, {"role": "user", "content": "hello", **fields})


def contents(caller, path, query=""):
    return [message["content"] for message in caller("GET", f"{path}{query}").json()["data"]]


def test_append_answers_the_stored_message(caller, path):
    response = append(
        caller, path, name="Ann", intent="greeting", intent_confidence=0.9, metadata={"k": [1, None]}
    )

    message = response.json()
    assert response.status_code == 201
    assert (message["object"], message["position"], message["customer_id"]) == ("message", 1, "ann")
    assert (message["content"], message["name"], message["intent"]) == ("hello", "Ann", "greeting")
    assert message["metadata"] == {"k": [1, None]}
    assert caller("GET", f"/messages/{message['id']}").json() | {"processing": None} == message | {
        "processing": None
    }


def test_append_keeps_everything_that_was_sent(caller, path):
    sent = {
        "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "二"}],
        "language": "zh",
        "turn_id": "t",
        "model": "m",
        "usage": {"tokens": 3},
        "agent_responses": {"sentiment_agent": {"score": 0.5}},
        "attachments": [
            {"kind": "transcription", "text": "spoken"},
            {"kind": "file", "uri": "s3://x", "data": [1]},
        ],
        "occurred_at": "2026-01-02T03:04:05.000006Z",
    }

    stored = caller("GET", f"/messages/{append(caller, path, **sent).json()['id']}").json()

    assert {name: stored[name] for name in sent} == sent


def test_append_takes_aliases(caller, path):
    response = caller(
        "POST",
        path,
        {
            "message_type": "llm_response",
            "message_id": "m1",
            "timestamp": "2026-01-01T00:00:00Z",
            "content": "hi",
        },
    )

    message = response.json()
    assert (message["role"], message["external_id"]) == ("assistant", "m1")


def test_timestamp_is_occurred_at_without_the_import_scope(issue):
    writer = issue("read", "write")
    path = f"/sessions/{writer('POST', '/sessions', {}).json()['id']}/messages"

    message = append(writer, path, timestamp="2026-01-01T00:00:00Z").json()

    assert message["occurred_at"] == "2026-01-01T00:00:00Z"
    assert message["created_at"] > "2026-01-01T00:00:00Z"


def test_timestamp_is_created_at_with_it(caller, path):
    message = append(caller, path, timestamp="2026-11-01T00:00:00Z").json()

    assert (message["created_at"], message["occurred_at"]) == ("2026-11-01T00:00:00Z", None)


def test_positions_have_no_gap_over_singles_and_batches(caller, path):
    append(caller, path)
    batch = caller("POST", path, {"messages": [{"role": "user", "content": str(n)} for n in range(3)]})
    append(caller, path)

    assert batch.status_code == 201
    assert [m["position"] for m in batch.json()["data"]] == [2, 3, 4]
    assert contents(caller, path) == ["hello", "0", "1", "2", "hello"]


def test_a_repeated_external_id_is_the_stored_message(caller, path):
    first = append(caller, path, external_id="m1").json()

    again = append(caller, path, external_id="m1", content="other words")

    assert again.status_code == 200
    assert again.json()["id"] == first["id"]
    assert contents(caller, path) == ["hello"]


@pytest.mark.parametrize("batch", [False, True], ids=["alone", "in a batch"])
def test_a_repeat_of_what_is_past_its_period_is_gone_and_nothing_is_stored(caller, path, batch):
    append(caller, path, external_id="m1", created_at="2020-01-01T00:00:00Z")
    again = {"role": "user", "content": "again", "external_id": "m1"}

    answer = caller(
        "POST", path, {"messages": [{"role": "user", "content": "new"}, again]} if batch else again
    )

    assert (answer.status_code, answer.json()["code"]) == (410, "expired")
    assert contents(caller, path) == []


def test_a_batch_stores_only_what_is_new_and_answers_one_for_each(caller, path):
    append(caller, path, external_id="m1")

    mixed = caller(
        "POST",
        path,
        {
            "messages": [
                {"role": "user", "content": "a", "external_id": "m1"},
                {"role": "user", "content": "b", "external_id": "m2"},
                {"role": "user", "content": "c"},
                {"role": "user", "content": "d", "external_id": "m2"},
            ]
        },
    )
    repeats = caller("POST", path, {"messages": [{"role": "user", "content": "x", "external_id": "m2"}]})

    assert mixed.status_code == 201
    assert [m["content"] for m in mixed.json()["data"]] == ["hello", "b", "c", "b"]
    assert repeats.status_code == 200
    assert contents(caller, path) == ["hello", "b", "c"]


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"role": "user"}, "messages[1].content"),
        ({"content": "x"}, "messages[1].role"),
        ({"role": "robot", "content": "x"}, "messages[1].role"),
        ({"role": "user", "content": "x", "intent_confidence": 2}, "messages[1].intent_confidence"),
        ({"role": "user", "content": "x", "tenant": "other"}, "messages[1].tenant"),
        ({"role": "user", "content": "x", "occurred_at": "2126-01-01T00:00:00Z"}, "messages[1].occurred_at"),
        ({"role": "user", "content": "x" * 300_000}, "messages[1].content"),
    ],
)
def test_a_batch_is_all_or_nothing(caller, path, broken, field):
    response = caller("POST", path, {"messages": [{"role": "user", "content": "fine"}, broken]})

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field
    assert contents(caller, path) == []


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": [{"role": "user", "content": "x"}] * 1001},
        {"role": "user", "content": "x", "messages": [{"role": "user", "content": "x"}]},
        {},
        [],
        "text",
        {"role": "user", "content": None},
        {"role": "user", "content": 7},
        {"role": "user", "content": "x", "metadata": []},
        {"role": "user", "content": "x", "metadata": {"k": "v" * 70_000}},
        {"role": "user", "content": "x", "occurred_at": "2026-01-01T00:00:00"},
        {"role": "user", "content": "x", "external_id": ""},
        {"role": "user", "content": "x", "external_id": "e" * 256},
    ],
)
def test_append_refuses_bad_bodies(caller, path, body):
    response = caller("POST", path, body)

    assert response.status_code == 400
    assert contents(caller, path) == []


@pytest.mark.parametrize(
    "body",
    [
        rb'{"role":"user","content":"a\u0000b"}',
        rb'{"role":"user","content":"\ud800"}',
        rb'{"role":"user","content":"x","content":"y"}',
        rb'{"role":"user","content":"x","metadata":{"n":1e999}}',
        rb'{"role":"user","content":"x","metadata":{"n":NaN}}',
        b'{"role":"user","content":"x","metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"role":"user","content":"x","metadata":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"role":"user","content":"x","metadata":{"n":' + b"9" * 400 + b"}}",
        b'{"role":"user","content":"\xff"}',
        b"",
        b"{",
    ],
)
def test_append_refuses_hostile_json(caller, path, body):
    response = caller("POST", path, body)

    assert response.status_code == 400
    assert response.json()["code"] in ("malformed_json", "invalid")
    assert contents(caller, path) == []


def test_personal_data_is_marked_and_the_original_is_kept(caller, path):
    text = "写信给 ann@example.com 谢谢"

    message = append(caller, path, content=text).json()

    assert message["content"] == text
    (span,) = message["pii"]
    assert text[span["start"] : span["end"]] == "ann@example.com"


def test_list_pages_by_position(caller, path):
    caller("POST", path, {"messages": [{"role": "user", "content": str(n)} for n in range(7)]})

    first = caller("GET", f"{path}?limit=3").json()
    second = caller("GET", f"{path}?limit=3&after={first['last_id']}").json()
    back = caller("GET", f"{path}?limit=2&before={second['last_id']}").json()

    assert [m["content"] for m in first["data"]] == ["0", "1", "2"]
    assert [m["content"] for m in second["data"]] == ["3", "4", "5"]
    assert [m["content"] for m in back["data"]] == ["3", "4"]
    assert contents(caller, path, "?order=desc&limit=2") == ["6", "5"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [("after", "45"), ("before", "012"), ("order=desc&after", "210"), ("order=desc&before", "54")],
)
def test_list_pages_on_from_a_message_that_was_erased(caller, path, query, expected):
    batch = {"messages": [{"role": "user", "content": str(n)} for n in range(6)]}
    erased = caller("POST", path, batch).json()["data"][3]["id"]
    assert caller("DELETE", f"/messages/{erased}").status_code == 202
    follow_cases()
    with tenant_scope(caller.tenant_id):
        assert not Message.objects.filter(id=erased).exists()

    assert "".join(contents(caller, path, f"?{query}={erased}")) == expected


def test_list_filters_by_role_and_time(caller, path):
    append(caller, path, content="old", created_at="2026-10-01T00:00:00Z")
    append(caller, path, content="answer", role="assistant")

    assert contents(caller, path, "?role=assistant") == ["answer"]
    assert contents(caller, path, "?message_type=llm_response") == ["answer"]
    assert caller("GET", f"{path}?role=user&message_type=llm_response").status_code == 400
    assert contents(caller, path, "?end_time=2026-10-02T00:00:00Z") == ["old"]


def test_patch_annotates_and_never_changes_what_was_said(caller, path):
    message = append(caller, path, metadata={"a": 1, "b": 2}).json()

    changed = caller("PATCH", f"/messages/{message['id']}", {"metadata": {"a": None}, "intent": "order"})
    refused = caller("PATCH", f"/messages/{message['id']}", {"content": "other"})

    assert (changed.status_code, changed.json()["metadata"], changed.json()["intent"]) == (
        200,
        {"b": 2},
        "order",
    )
    assert refused.status_code == 400
    assert contents(caller, path) == ["hello"]


def test_patch_reaches_the_window(caller, path):
    message = append(caller, path).json()
    window = path.replace("messages", "window")
    caller("GET", window)

    caller("PATCH", f"/messages/{message['id']}", {"intent": "order"})

    assert caller("GET", window).json()["data"][0]["intent"] == "order"


def test_delete_hides_one_message_everywhere(caller, path):
    kept = append(caller, path, content="kept").json()
    gone = append(caller, path, content="gone", external_id="m1").json()
    window = path.replace("messages", "window")
    caller("GET", window)

    response = caller("DELETE", f"/messages/{gone['id']}")

    assert response.status_code == 202
    assert contents(caller, path) == ["kept"]
    assert [m["id"] for m in caller("GET", window).json()["data"]] == [kept["id"]]
    assert caller("GET", f"/messages/{gone['id']}").status_code == 410
    assert append(caller, path, external_id="m1").status_code == 410
    assert append(caller, path, content="next").json()["position"] == 3


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {"intent": "x"}), ("DELETE", None)])
def test_another_tenants_message_does_not_exist(issue, caller, path, method, body):
    message = append(caller, path).json()

    response = issue()(method, f"/messages/{message['id']}", body)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert contents(caller, path) == ["hello"]


def test_times_with_an_offset_are_answered_in_utc(caller, path):
    message = append(caller, path, occurred_at="2026-01-01T01:00:00.5+08:00").json()
    window = caller("GET", path.replace("messages", "window")).json()["data"]

    assert message["occurred_at"] == "2025-12-31T17:00:00.500000Z"
    assert [shown["occurred_at"] for shown in window] == ["2025-12-31T17:00:00.500000Z"]


def test_patches_cannot_grow_an_object_over_its_limit(caller, path):
    message = f"/messages/{append(caller, path).json()['id']}"
    half = "x" * 40_000
    caller("PATCH", message, {"metadata": {"a": half}})

    refused = caller("PATCH", message, {"metadata": {"b": half}})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "metadata")
    assert caller("GET", message).json()["metadata"] == {"a": half}
