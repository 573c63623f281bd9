"""Networks and servers that misbehave on demand, between a client and a real server."""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class FaultProxy:
    """A TCP forwarder on loopback. Faults are attributes and apply to connections as they run."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.scheme, self.path = parts.scheme, parts.path
        self.heal()
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{self.path}"

    def heal(self) -> None:
        """Forward everything faithfully."""
        self.black_hole = False  # take what comes, answer nothing
        self.latency = 0.0  # seconds before each piece of an answer
        self.cut_after: int | None = None  # bytes of answer in all, then RST
        self.slice_to: int | None = None  # bytes a piece
        self.answered = 0

    def down(self) -> None:
        """Refuse connections from now on, and reset those that are open."""
        # A thread that waits in accept() keeps a closed listener alive; shutting it down wakes the thread.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        self.reset()

    def up(self) -> None:
        """Listen again on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def reset(self) -> None:
        """RST every open connection."""
        for connection in list(self._connections):
            _reset(connection)
        self._connections.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:
                _reset(client)
                continue
            self._connections |= {client, server}
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if not self.black_hole:
                    server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self.black_hole:
                    continue
                step = self.slice_to or len(data)
                for begin in range(0, len(data), step):
                    time.sleep(self.latency)
                    if not self._forward(client, data[begin : begin + step]):
                        _reset(client)
                        _reset(server)
                        return
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)

    def _forward(self, client: socket.socket, piece: bytes) -> bool:
        room = len(piece) if self.cut_after is None else self.cut_after - self.answered
        client.sendall(piece[:room] if room > 0 else b"")
        self.answered += len(piece)
        return room >= len(piece)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes the thread that waits in recv, which would else keep the connection open.
        connection.shutdown(socket.SHUT_RD)
        connection.close()


@dataclass
class Answer:
    status: int
    body: bytes


@dataclass
class Request:
    """One HTTP request on its way; `forward` sends it on and gives the server's answer."""

    number: int
    method: str
    path: str
    body: bytes
    forward: Callable[[], Answer]


Behaviour = Callable[[Request], Answer | None]


@contextmanager
def http_proxy(url: str, behave: Behaviour) -> Iterator[str]:
    """An HTTP server before another; `behave` answers each request, None hangs up without a word."""
    parts = urlsplit(url)
    lock, numbers = threading.Lock(), iter(range(10**9))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}

            def forward() -> Answer:
                connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                return Answer(answer.status, answer.read())

            with lock:
                number = next(numbers)
            answer = behave(Request(number, self.command, self.path, body, forward))
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/vnd.elasticsearch+json; compatible-with=9")
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
