"""The client's manners towards a server that is busy, broken or strange; answers come from a small real server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conversations.demo.client import DemoClient, DemoError, NotInThisVersion

Answers = Callable[[str], tuple[int, str]]
SCHEMA = '{"paths": {"/api/v1/customers/{customer_id}": {"get": {}}}}'


@contextmanager
def answering(answers: Answers) -> Iterator[tuple[DemoClient, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.command} {self.path}")
            status, body = answers(f"{self.command} {self.path}")
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = answer

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with DemoClient(f"http://127.0.0.1:{server.server_port}", "key") as client:
            yield client, asked
        server.shutdown()
        thread.join()


def test_busy_server_is_asked_again():
    refusals = [429, 503, 200]

    with answering(lambda _: (refusals.pop(0), '{"ok": true}')) as (client, asked):
        assert client.call("GET", "/sessions") == (200, {"ok": True})

    assert asked == ["GET /api/v1/sessions"] * 3


def test_ids_are_percent_encoded():
    with answering(lambda _: (204, "")) as (client, asked):
        client.call("GET", "/customers/{}", "a/b ü", expect=(204,))

    assert asked == ["GET /api/v1/customers/a%2Fb%20%C3%BC"]


def test_missing_endpoint_is_told_from_missing_object():
    with answering(lambda path: (200, SCHEMA) if "schema" in path else (404, "{}")) as (client, asked):
        with pytest.raises(NotInThisVersion, match="/memories"):
            client.call("GET", "/memories")
        with pytest.raises(DemoError, match="404"):
            client.call("GET", "/customers/{}", "x")
        with pytest.raises(NotInThisVersion):
            client.call("PUT", "/customers/{}", "x", body={})

    assert asked.count("GET /api/schema") == 1


def test_missing_schema_is_no_excuse():
    with answering(lambda _: (404, "{}")) as (client, _), pytest.raises(DemoError, match="schema"):
        client.call("GET", "/memories")


@pytest.mark.parametrize("status", [400, 403, 500])
def test_other_refusals_are_errors_with_their_words(status):
    with (
        answering(lambda _: (status, '{"detail": "because"}')) as (client, _),
        pytest.raises(DemoError, match=f"{status}.*because"),
    ):
        client.call("GET", "/sessions")
