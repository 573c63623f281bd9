"""A real server that speaks `POST /chat/completions`."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ModelServer(ThreadingHTTPServer):
    """Answers with `reading`; or, where set, with a status and bytes of its own, or never."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reading: Any = {"summary": "They like cream.", "traits": []}
        self.raw: tuple[int, bytes] | None = None
        self.hangs = False
        self.requests: list[dict[str, Any]] = []
        self.before_answer = lambda: None
        self.released = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def texts(self) -> str:
        """Everything that was ever sent here."""
        return json.dumps(self.requests, ensure_ascii=False)


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        if self.server.hangs:
            self.server.released.wait(10)
            return
        self.server.before_answer()
        content = json.dumps(self.server.reading)
        status, raw = self.server.raw or (
            200,
            json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode(),
        )
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def running_model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
