"""The OpenAI-compatible provider, against a real server."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from django.core.exceptions import ImproperlyConfigured

from conversations.backends.embedders import BadVectors, EmbeddingProfile, embedder_for
from conversations.backends.embedders.contract import MAX_CHARACTERS
from conversations.backends.embedders.remote import Endpoint, RemoteEmbedder
from conversations.backends.values import StoreUnavailable

PROFILE = EmbeddingProfile.parse("openai:letters:3")


def embedding(text):
    """Not of unit length on purpose."""
    return [float(len(text)), float(ord(text[0])), 1.0]


def vectors_of(body):
    data = [{"index": i, "embedding": embedding(text)} for i, text in enumerate(body["input"])]
    return 200, {"object": "list", "data": data[::-1]}


class Server(ThreadingHTTPServer):
    """Answers with what the test put in `answers`, one after the other, then with vectors."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.requests = []
        self.released = threading.Event()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers, body))
        answer = self.server.answers.pop(0) if self.server.answers else vectors_of
        status, content, *headers = answer(body) if callable(answer) else answer
        if status is None:
            self.server.released.wait(10)
            return
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def remote(server, **given):
    given = {"private_allowed": True, "pause": 0.001, "timeout": 5, **given}
    return RemoteEmbedder(PROFILE, Endpoint(url=server.endpoint, **given))


def test_texts_become_unit_rows_in_their_order(server):
    texts = ["longest text", "b", "mid"]

    rows = remote(server).embed(texts)

    expected = np.array([embedding(text) for text in texts], np.float32)
    assert rows == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True))
    assert rows.dtype == np.float32


def test_request_is_what_the_protocol_says(server):
    remote(server, api_key="secret").embed(["a"])

    ((path, headers, body),) = server.requests
    assert path == "/v1/embeddings"
    assert headers["Authorization"] == "Bearer secret"
    assert body == {"model": "letters", "input": ["a"], "encoding_format": "float"}


def test_key_does_not_show():
    assert "secret" not in repr(Endpoint(url="https://vectors.example/v1", api_key="secret"))


def test_texts_go_in_batches_of_like_length(server):
    texts = ["aaaa", "b", "cc", "d" * 9, "e"]

    rows = remote(server, batch=2).embed(texts)

    assert [body["input"] for _, _, body in server.requests] == [["b", "e"], ["cc", "aaaa"], ["d" * 9]]
    assert [int(row.argmax()) for row in rows] == [1] * 5
    assert rows[3] @ rows[0] < 1


def test_blank_texts_are_not_sent(server):
    rows = remote(server).embed(["", "a", "  "])

    assert rows.any(axis=1).tolist() == [False, True, False]
    assert [body["input"] for _, _, body in server.requests] == [["a"]]


def test_only_blank_texts_ask_nobody(server):
    assert not remote(server).embed(["", " "]).any()
    assert server.requests == []


def test_long_text_is_cut(server):
    remote(server).embed(["x" * (MAX_CHARACTERS + 5)])

    assert [len(body["input"][0]) for _, _, body in server.requests] == [MAX_CHARACTERS]


def test_window_is_one_text(server):
    remote(server).embed_windows([["hello", "you"], ["me"]])

    assert [body["input"] for _, _, body in server.requests] == [["me", "hello\nyou"]]


def test_term_vectors_ask_nobody(server):
    dog, puppy = remote(server).term_vectors(["dog", "puppy"])

    assert dog @ puppy > 0.4
    assert server.requests == []


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_busy_server_is_asked_again(server, status):
    server.answers = [(status, {}), (status, {})]

    rows = remote(server).embed(["a"])

    assert rows.any()
    assert len(server.requests) == 3


def test_server_that_stays_busy_is_unavailable(server):
    server.answers = [(503, {"error": "the text was: a"})] * 3

    with pytest.raises(StoreUnavailable, match=r"openai:letters:3: HTTP 503$"):
        remote(server).embed(["a"])

    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_refusal_is_not_repeated(server, status):
    server.answers = [(status, {}, ("Location", server.endpoint))]

    with pytest.raises(StoreUnavailable, match=f"HTTP {status}"):
        remote(server).embed(["a"])

    assert len(server.requests) == 1


def test_server_is_given_the_pause_it_asks_for(server):
    server.answers = [(429, {}, ("Retry-After", "1"))]
    finished = threading.Event()
    caller = threading.Thread(target=lambda: (remote(server).embed(["a"]), finished.set()))

    caller.start()

    assert not finished.wait(0.7)
    assert finished.wait(5)
    caller.join()


def test_hanging_server_is_unavailable(server):
    server.answers = [(None, b"")] * 2

    with pytest.raises(StoreUnavailable, match="ReadTimeout"):
        remote(server, timeout=0.1, attempts=2).embed(["a"])

    assert len(server.requests) == 2


def test_server_that_is_not_there_is_unavailable():
    endpoint = Endpoint(url="http://127.0.0.1:1/v1", private_allowed=True, attempts=2, pause=0.001)

    with pytest.raises(StoreUnavailable, match="ConnectError"):
        RemoteEmbedder(PROFILE, endpoint).embed(["a"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"data": [{"index": 0, "embedding": [1.0, 2.0]}]}, "expected 3 dimensions, got 2"),
        ({"data": [{"index": 0, "embedding": []}]}, "expected 3 dimensions, got 0"),
        ({"data": [{"index": 0, "embedding": [0.0, 0.0, 0.0]}]}, "zero"),
        (b'{"data": [{"index": 0, "embedding": [NaN, 1, 1]}]}', "not an embeddings answer"),
        (b'{"data": [{"index": 0, "embedding": [1e39, 1, 1]}]}', "NaN or infinity"),
        ({"data": [{"index": 0, "embedding": [None, 1, 1]}]}, "not an embeddings answer"),
        ({"data": []}, "expected 1 vectors, got 0"),
        ({"data": [{"index": 0, "embedding": [1, 1, 1]}] * 2}, "expected 1 vectors, got 2"),
        ({"data": [{"index": 5, "embedding": [1, 1, 1]}]}, "expected 1 vectors, got 1"),
        ({"error": "no"}, "not an embeddings answer"),
        (b"<html>", "not an embeddings answer"),
    ],
)
def test_bad_vectors_are_refused(server, answer, reason):
    server.answers = [(200, answer)]

    with pytest.raises(BadVectors, match=reason):
        remote(server).embed(["a"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"])
def test_private_target_is_refused_without_a_request(server, host):
    endpoint = Endpoint(url=f"https://{host}:{server.server_port}/v1")

    with pytest.raises(StoreUnavailable, match="not a public address"):
        RemoteEmbedder(PROFILE, endpoint).embed(["a"])

    assert server.requests == []


@pytest.mark.parametrize(
    "url", ["", "vectors.example/v1", "ftp://vectors.example", "http://vectors.example/v1"]
)
def test_endpoint_without_a_safe_url_is_refused(url):
    with pytest.raises(ImproperlyConfigured):
        RemoteEmbedder(PROFILE, Endpoint(url=url))


def test_environment_proxies_are_not_used(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    assert remote(server).embed(["a"]).any()


def test_embedder_for_takes_the_endpoint_from_settings(server, settings):
    settings.EMBEDDING_ENDPOINT = server.endpoint
    settings.EMBEDDING_API_KEY = "from-settings"
    settings.ALLOW_PRIVATE_ENDPOINTS = True

    embedder_for(EmbeddingProfile.parse("openai:from-settings:3")).embed(["a"])

    ((_, headers, body),) = server.requests
    assert headers["Authorization"] == "Bearer from-settings"
    assert body["model"] == "from-settings"
