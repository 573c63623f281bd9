"""A real server process: broken framing, slow and endless bodies, a database that goes and comes back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from conversations.models import Message
from conversations.tenancy import tenant_scope
from tests import servers
from tests.conversations.api.conftest import Caller
from tests.conversations.api.serving import Server, serving

MESSAGE = b'{"role": "user", "content": "My card is 4111 1111 1111 1111, thanks"}'


@pytest.fixture
def server(database: str, tmp_path: Path) -> Iterator[Server]:
    with serving(database, tmp_path / "server.log") as running:
        yield running


@pytest.fixture
def messages(server: Server, caller: Caller) -> str:
    """The path of a session's messages."""
    made = server.post(caller, "/sessions", b"Content-Length: 2", body=b"{}")
    assert made.status == 201
    return f"/sessions/{json.loads(made.body)['id']}/messages"


def test_server_reads_bodies_however_they_are_framed(server: Server, caller: Caller, messages: str) -> None:
    whole = server.post(caller, messages, b"Content-Length: %d" % len(MESSAGE), body=MESSAGE)
    chunks = b"5\r\n" + MESSAGE[:5] + b"\r\n%x\r\n" % len(MESSAGE[5:]) + MESSAGE[5:] + b"\r\n0\r\n\r\n"
    chunked = server.post(caller, messages, b"Transfer-Encoding: chunked", body=chunks)

    assert (whole.status, chunked.status) == (201, 201)
    assert json.loads(whole.body)["content"] == json.loads(chunked.body)["content"]


def test_server_survives_broken_requests(server: Server, caller: Caller, messages: str) -> None:
    """The server process itself answers for what is no HTTP; everything else is a problem of ours."""
    gzip = (b"Content-Length: 20", b"Content-Encoding: gzip")
    assert server.post(caller, messages, b"Content-Length: abc", body=MESSAGE).status == 400
    assert (
        server.post(caller, messages, b"Content-Length: 900", body=MESSAGE, shut=True).code
        == "malformed_json"
    )
    assert (
        server.post(caller, messages, b"Transfer-Encoding: chunked", body=b"5\r\nhel", shut=True).status
        == 400
    )
    assert (
        server.post(caller, messages, *gzip, body=b"\x1f\x8b" + b"\x00" * 18).code == "unsupported_media_type"
    )
    assert server.post(caller, messages, b"Content-Length: 2", body=b"\xff\xfe").code == "malformed_json"
    assert server.send(b"\x16\x03\x01 hello\r\n\r\n", shut=True).status == 400

    endless = b"%x\r\n" % (settings.MAX_BODY + 1) + b"[" * (settings.MAX_BODY + 1) + b"\r\n0\r\n\r\n"
    assert server.post(caller, messages, b"Transfer-Encoding: chunked", body=endless).code == "too_large"

    assert server.is_alive()
    with tenant_scope(caller.tenant_id):
        assert not Message.objects.exists()


def test_client_that_sends_everything_before_it_reads_learns_that_it_was_too_much(
    server: Server, caller: Caller, messages: str
) -> None:
    size = settings.MAX_BODY * 2

    # The socket refuses to send to a server that has answered and closed.
    refused = server.post(caller, messages, b"Content-Length: %d" % size, body=b"[" * size)

    assert (refused.status, refused.code) == (413, "too_large")


def test_server_logs_one_object_a_line_and_no_text(server: Server, caller: Caller, messages: str) -> None:
    server.post(
        caller, messages, b"X-Request-Id: asked-1", b"Content-Length: %d" % len(MESSAGE), body=MESSAGE
    )
    server.post(caller, "/%0A%7B%22event%22%3A1%7D?content=hello", b"Content-Length: 2", body=b"{}")

    server.process.terminate()
    server.process.wait(20)
    lines = [json.loads(line) for line in server.log.read_bytes().splitlines()]

    assert any(line.get("request_id") == "asked-1" and line["status"] == 201 for line in lines)
    logged = server.log.read_text()
    assert not [word for word in ("4111", "hello", caller.key, caller.key[-20:]) if word in logged]


def test_server_without_its_database_answers_503_and_recovers(
    server: Server, caller: Caller, messages: str, database: str
) -> None:
    body = (b"Content-Length: %d" % len(MESSAGE),)
    with servers.administrator() as administrator:
        administrator.execute(f'ALTER DATABASE "{database}" WITH ALLOW_CONNECTIONS false')
        administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
        )
        away = server.post(caller, messages, *body, body=MESSAGE)
        listing = server.post(caller, "/sessions", b"Content-Length: 2", body=b"{}")
        ready = server.send(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        administrator.execute(f'ALTER DATABASE "{database}" WITH ALLOW_CONNECTIONS true')
    back = server.post(caller, messages, *body, body=MESSAGE)

    assert (away.status, away.code, listing.status) == (503, "unavailable", 503)
    assert int(away.headers["retry-after"]) >= 1
    assert ready.status == 503
    assert back.status == 201
    assert json.loads(back.body)["position"] == 1
