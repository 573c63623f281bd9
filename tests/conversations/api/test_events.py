"""Server-sent events through a real web server: every event to every listener, and nothing of what is gone."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from conversations.principals import SYSTEM
from conversations.services.accounts.api_keys import revoke_key
from tests.conversations.api.conftest import Caller, Issue
from tests.conversations.api.serving import Server, serving
from tests.conversations.backends.proxies import FaultProxy
from tests.waiting import eventually

PATIENCE = 60.0


class Listener:
    """Reads a stream on a thread of its own until it is told to stop, or the stream ends."""

    def __init__(self, server: Server, caller: Caller, session: str, last_event: str | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.comments = 0
        self.ended = threading.Event()
        headers = {"Authorization": f"Bearer {caller.key}"}
        if last_event is not None:
            headers["Last-Event-ID"] = last_event
        self._http = httpx.Client(timeout=PATIENCE)
        url = f"http://127.0.0.1:{server.port}/api/v1/sessions/{session}/events"
        self._stream = self._http.stream("GET", url, headers=headers)
        self.response = self._stream.__enter__()
        assert self.response.status_code == 200, self.response.read()
        assert self.response.headers["content-type"] == "text/event-stream"
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for line in self.response.iter_lines():
                if line.startswith("data: "):
                    self.events.append(msgspec.json.decode(line.removeprefix("data: ")))
                elif line.startswith(":"):
                    self.comments += 1
        except (httpx.HTTPError, httpx.StreamError):
            pass
        self.ended.set()

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        eventually(lambda: len(self.events) >= count)
        return self.events

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def woken(request: pytest.FixtureRequest) -> bool:
    """Whether Redis wakes the streams; else they look by themselves."""
    return getattr(request, "param", True)


@pytest.fixture
def server(request: pytest.FixtureRequest, database: str, tmp_path: Path, woken: bool) -> Iterator[Server]:
    url = request.getfixturevalue("redis_server") if woken else ""
    with serving(database, tmp_path / "server.log", REDIS_URL=url) as running:
        yield running


@pytest.fixture
def listen(server: Server) -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def make(*arguments: Any) -> Listener:
        made.append(Listener(server, *arguments))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


def ask(server: Server, caller: Caller, method: str, path: str, body: Any = None) -> Any:
    url = f"http://127.0.0.1:{server.port}/api/v1{path}"
    headers = {"Authorization": f"Bearer {caller.key}"}
    response = httpx.request(method, url, json=body, headers=headers, timeout=PATIENCE)
    assert response.is_success, response.text
    return response.json()


def say(server: Server, caller: Caller, session: str, *texts: str) -> list[str]:
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    data = ask(server, caller, "POST", f"/sessions/{session}/messages", body)["data"]
    return [message["id"] for message in data]


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [event["message"]["content"] for event in events if event["type"] == "message.created"]


@pytest.mark.parametrize("woken", [True, False], ids=["redis", "without redis"], indirect=True)
def test_twenty_listeners_get_all_of_400_events_in_order(
    server: Server, caller: Caller, listen: Callable[..., Listener]
) -> None:
    session = ask(server, caller, "POST", "/sessions", {})["id"]
    say(server, caller, session, "before anybody listened")
    listeners = [listen(caller, session) for _ in range(20)]

    for number in range(0, 400, 4):
        say(server, caller, session, *(str(n) for n in range(number, number + 4)))

    expected = [str(number) for number in range(400)]
    for listener in listeners:
        assert texts(listener.wait_for(400)) == expected
    assert len({event["id"] for event in listeners[0].events}) == 400


def test_stream_resumes_after_the_last_event_without_what_is_gone(
    server: Server, caller: Caller, listen: Callable[..., Listener]
) -> None:
    session = ask(server, caller, "POST", "/sessions", {"title": "Boxes"})["id"]
    first = listen(caller, session)
    ids = say(server, caller, session, "one", "two")
    seen = first.wait_for(2)[0]["id"]
    first.close()
    ids += say(server, caller, session, "three", "four")
    ask(server, caller, "DELETE", f"/messages/{ids[2]}")
    ask(server, caller, "POST", f"/sessions/{session}/close", {"outcome": {"success": True}})

    again = listen(caller, session, seen).wait_for(4)

    assert [event["type"] for event in again] == [
        "message.created",
        "message.created",
        "message.hidden",
        "session.closed",
    ]
    assert texts(again) == ["two", "four"]
    assert again[2]["message"] == {"id": ids[2]}
    assert again[3]["session"]["status"] == "closed"
    assert "three" not in str(again)
    rest = listen(caller, session, again[3]["id"])
    say(server, caller, session, "five")
    ask(server, caller, "POST", f"/sessions/{session}/close")
    assert [event["type"] for event in rest.wait_for(2)] == ["message.created", "session.closed"]


def test_stream_ends_with_its_session_and_with_its_key_and_is_kept_alive_until_then(
    server: Server, issue: Issue, caller: Caller, listen: Callable[..., Listener]
) -> None:
    ended, kept = (ask(server, caller, "POST", "/sessions", {})["id"] for _ in range(2))
    other = issue("read", tenant=caller)
    of_ended, of_revoked, of_kept = listen(caller, ended), listen(other, kept), listen(caller, kept)

    ask(server, caller, "DELETE", f"/sessions/{ended}")
    revoke_key(key_id=other.key_id, actor=SYSTEM)

    assert of_ended.ended.wait(PATIENCE)
    assert of_revoked.ended.wait(PATIENCE)
    eventually(lambda: of_kept.comments >= 2)
    assert not of_kept.ended.is_set()
    assert of_ended.events == of_revoked.events == of_kept.events == []


def test_nobody_listens_to_another_tenant_s_session_or_with_a_foreign_cursor(
    server: Server, issue: Issue, caller: Caller, listen: Callable[..., Listener]
) -> None:
    session, other = (ask(server, caller, "POST", "/sessions", {})["id"] for _ in range(2))
    listener = listen(caller, session)
    say(server, caller, session, "mine")
    cursor = listener.wait_for(1)[0]["id"]

    def status(key: str, path: str, last_event: str = "") -> int:
        headers = {"Authorization": f"Bearer {key}", "Last-Event-ID": last_event}
        return httpx.get(f"http://127.0.0.1:{server.port}/api/v1{path}", headers=headers).status_code

    assert status(issue().key, f"/sessions/{session}/events") == 404
    assert status(caller.key, f"/sessions/{uuid4()}/events") == 404
    assert status(issue("write", tenant=caller).key, f"/sessions/{session}/events") == 403
    assert status(caller.key, f"/sessions/{other}/events", cursor) == 400
    assert status(caller.key, f"/sessions/{session}/events", "nonsense") == 400
    assert status(caller.key, f"/sessions/{session}/events", "a" * 5000) == 400


def test_no_more_than_32_streams_and_those_that_left_make_room(
    server: Server, caller: Caller, listen: Callable[..., Listener]
) -> None:
    session = ask(server, caller, "POST", "/sessions", {})["id"]
    listeners = [listen(caller, session) for _ in range(32)]
    url = f"http://127.0.0.1:{server.port}/api/v1/sessions/{session}/events"
    headers = {"Authorization": f"Bearer {caller.key}"}

    refused = httpx.get(url, headers=headers)
    for listener in listeners[:16]:
        listener.close()

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1

    def opens() -> bool:
        with httpx.stream("GET", url, headers=headers) as response:
            return response.status_code == 200

    eventually(opens)


def test_stream_outlives_a_redis_that_goes_away(
    database: str, tmp_path: Path, caller: Caller, redis_server: str
) -> None:
    redis = FaultProxy(redis_server)
    with serving(database, tmp_path / "server.log", REDIS_URL=redis.url) as server:
        session = ask(server, caller, "POST", "/sessions", {})["id"]
        listener = Listener(server, caller, session)
        say(server, caller, session, "with")
        listener.wait_for(1)

        redis.down()
        say(server, caller, session, "without")

        assert texts(listener.wait_for(2)) == ["with", "without"]
        listener.close()
