"""From the microsecond of its expiry no agent path shows a message, while every job stands still."""

from datetime import timedelta
from uuid import UUID

import pytest

from conversations import ids
from conversations.mirror.drain import drain
from conversations.models import Message
from conversations.principals import SYSTEM
from conversations.services.events import Cursor, read_events
from conversations.services.exporting import export_tenant

CANARY = "kumquat"
PERIOD = timedelta(days=90)

PATHS = {
    "list": ("GET", "/sessions/{session}/messages", None),
    "get": ("GET", "/messages/{message}", None),
    "window": ("GET", "/sessions/{session}/window", None),
    "transcript": ("GET", "/sessions/{session}/transcript?format=md", None),
    "context": ("POST", "/sessions/{session}/context", {"query": "what does she like best?"}),
    "search": ("POST", "/search", {"query": CANARY, "scope": ["messages"], "neighbours": 2}),
    "search of words": ("POST", "/search", {"query": CANARY, "mode": "text"}),
    "query": ("POST", "/messages/query", {"filter": {"role": "user"}}),
    "customer's messages": ("GET", "/customers/c1/messages", None),
}
COUNTS = {
    "count": ("POST", "/messages/count", {"filter": {"role": "user"}}, "count", 1, 0),
    "exists": ("POST", "/messages/exists", {"filter": {"role": "user"}}, "exists", True, False),
}


@pytest.fixture
def spoken(alice, time_machine):
    """A message that everything has followed: (session, message, the moment of its expiry). Time stands still."""
    said_at = ids.now() - PERIOD + timedelta(hours=1)
    session = alice("POST", "/sessions", {"customer_id": "c1", "created_at": said_at.isoformat()}).json()[
        "id"
    ]
    message = {"role": "user", "content": f"I like the {CANARY} best", "created_at": said_at.isoformat()}
    stored = alice("POST", f"/sessions/{session}/messages", message).json()["id"]
    alice("GET", f"/sessions/{session}/window")  # what a window would hold, it holds
    drain()
    at = Message.objects.using("ops").values_list("created_at", flat=True).get()
    return session, stored, at + PERIOD


def ask(caller, spoken, method, path, body):
    session, message, _ = spoken
    return caller(method, path.format(session=session, message=message), body)


@pytest.mark.parametrize("name", PATHS)
def test_path_shows_the_message_up_to_its_last_microsecond_and_not_after(alice, spoken, time_machine, name):
    expires_at = spoken[2]

    time_machine.move_to(expires_at - timedelta(microseconds=1), tick=False)
    before = ask(alice, spoken, *PATHS[name])
    time_machine.move_to(expires_at, tick=False)
    after = ask(alice, spoken, *PATHS[name])

    assert before.status_code == 200
    assert _says(before)
    assert after.status_code in (200, 410)
    assert not _says(after)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_leave_the_message_out_from_its_expiry(alice, spoken, time_machine, name):
    method, path, body, field, while_alive, when_expired = COUNTS[name]

    time_machine.move_to(spoken[2] - timedelta(microseconds=1), tick=False)
    assert ask(alice, spoken, method, path, body).json()[field] == while_alive
    time_machine.move_to(spoken[2], tick=False)
    assert ask(alice, spoken, method, path, body).json()[field] == when_expired


def test_remembered_answer_does_not_outlive_the_message(alice, time_machine):
    said_at = ids.now() - PERIOD + timedelta(hours=1)
    session = alice("POST", "/sessions", {"created_at": said_at.isoformat()}).json()["id"]
    message = {"role": "user", "content": f"I like the {CANARY} best", "created_at": said_at.isoformat()}
    path = f"/sessions/{session}/messages"
    headers = {"idempotency_key": "k1"}
    first = alice("POST", path, message, **headers)

    time_machine.move_to(said_at + PERIOD + timedelta(seconds=1))
    again = alice("POST", path, message, **headers)

    assert _says(first)
    assert not _says(again)


def test_expired_message_cannot_be_patched_or_deleted(alice, spoken, time_machine):
    path = f"/messages/{spoken[1]}"

    time_machine.move_to(spoken[2])

    assert alice("PATCH", path, {"intent": "x"}).json()["code"] == "expired"
    assert alice("DELETE", path).json()["code"] == "expired"


def test_event_stream_that_is_resumed_leaves_it_out_from_its_expiry(alice, spoken, time_machine):
    session, message, expires_at = spoken
    start = Cursor(UUID(session), 0, 0, None)

    time_machine.move_to(expires_at - timedelta(microseconds=1), tick=False)
    before, _ = read_events(alice.tenant_id, start)
    time_machine.move_to(expires_at, tick=False)
    after, cursor = read_events(alice.tenant_id, start)

    assert [str(event.subject["message"]["id"]) for event in before] == [message]
    assert (list(after), cursor.position) == ([], 1)


def test_export_of_the_tenant_leaves_it_out_from_its_expiry(alice, spoken, time_machine, tmp_path):
    expires_at = spoken[2]

    time_machine.move_to(expires_at - timedelta(microseconds=1), tick=False)
    export_tenant(tenant_id=alice.tenant_id, folder=tmp_path / "before", actor=SYSTEM)
    time_machine.move_to(expires_at, tick=False)
    export_tenant(tenant_id=alice.tenant_id, folder=tmp_path / "after", actor=SYSTEM)

    assert [_is_in(tmp_path / name) for name in ("before", "after")] == [True, False]


def _is_in(folder):
    return any(CANARY in path.read_text() for path in folder.iterdir())


def _says(response):
    return CANARY in response.content.decode()
