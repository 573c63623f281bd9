"""A real web server process for a test, and bytes sent to it as they are."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

from config.embedded.process import free_port
from tests.conversations.api.conftest import Caller


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


@dataclass(frozen=True)
class Server:
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def send(self, *parts: bytes, shut: bool = False) -> Reply:
        """Exactly these bytes; with `shut`, and then the end of our side."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as wire:
            for part in parts:
                wire.sendall(part)
            if shut:
                wire.shutdown(socket.SHUT_WR)
            return _read(wire)

    def post(
        self, caller: Caller, path: str, *headers: bytes, body: bytes = b"", shut: bool = False
    ) -> Reply:
        head = [
            b"POST /api/v1" + path.encode() + b" HTTP/1.1",
            b"Host: 127.0.0.1",
            b"Connection: close",
            b"Authorization: Bearer " + caller.key.encode(),
            b"Content-Type: application/json",
            *headers,
        ]
        return self.send(b"\r\n".join(head) + b"\r\n\r\n" + body, shut=shut)

    def is_alive(self) -> bool:
        return (
            self.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").status == 200
        )


def _read(wire: socket.socket) -> Reply:
    received = b""
    while chunk := wire.recv(65_536):
        received += chunk
        head, ended, body = received.partition(b"\r\n\r\n")
        if ended and len(body) >= int(_headers(head).get("content-length", "0")):
            break
    head, _, body = received.partition(b"\r\n\r\n")
    return Reply(int(head.split()[1]), _headers(head), body)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@contextmanager
def serving(database: str, log: Path, **environment: str) -> Iterator[Server]:
    """A web server of its own over the test's database; stores only where `environment` names them."""
    port = free_port()
    url = urlsplit(os.environ["DATABASE_URL"])
    environ = os.environ | {
        "DATABASE_URL": urlunsplit(url._replace(path=f"/{database}")),
        "DATABASE_ROLE_PREFIX": settings.DATABASE_ROLE_PREFIX,
        "REDIS_URL": "",
        "MILVUS_URI": "",
        "ELASTICSEARCH_URL": "",
        **environment,
    }
    command = ["-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--blocking-threads", "64", "--workers-kill-timeout", "2", "--no-log"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command, "config.wsgi:application"], env=environ, stderr=output, stdout=output
        )
    running = Server(port, log, process)
    try:
        _wait_until_alive(running)
        yield running
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_alive(server: Server) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if server.is_alive():
                return
        except OSError:
            assert server.process.poll() is None, server.log.read_text()
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.1)
