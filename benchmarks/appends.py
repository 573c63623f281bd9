"""The write path: what a message costs over HTTP and in process, as ratios taken side by side.

    uv run python -m benchmarks.appends [--pairs 7] [--requests 1600]

Starts a whole installation (durable commits, authentication, tenant, scrubbing, sealing and outbox on) and, on the same
PostgreSQL, a stock DRF ModelSerializer view of a bare copy of the table. Eight keep-alive clients speak to each in turn,
A B A B; the medians of the pairs' ratios are printed with their range.
"""

import argparse
import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.installation import ROOT, Installation, installation
from config.embedded.process import free_port

CLIENTS = 8
COPIED = 10_000  # rows
TEXT = (
    "Good morning, we still have not received the four hundred boxes for the ten inch pizzas that we ordered on Monday. "
    "Our driver waited at the gate until nine and then had to leave. Could you please tell me whether they left the depot, "
    "and when they will be at the outlet in Tampines? We open at eleven and there are only thirty left. If it helps, the "
    "order was placed by Mei Ling on behalf of the whole group, as always."
)


@dataclass(frozen=True)
class Target:
    """Somewhere to post messages to."""

    port: int
    path: Callable[[int], str]
    body: Callable[[int], bytes]
    headers: dict[str, str]


def post_all(target: Target, requests: int) -> tuple[float, list[float]]:
    """Requests a second over all clients, and every latency in ms."""
    each = requests // CLIENTS

    def client(number: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
        latencies = []
        for _ in range(each):
            started = time.perf_counter()
            connection.request("POST", target.path(number), target.body(number), target.headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status != 201:
                raise RuntimeError(f"{response.status} {answer[:300]!r}")
            latencies.append(1000 * (time.perf_counter() - started))
        connection.close()
        return latencies

    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        latencies = [one for many in pool.map(client, range(CLIENTS)) for one in many]
    return len(latencies) / (time.perf_counter() - started), latencies


def call(installed: Installation, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection(installed.url.removeprefix("http://"), timeout=30)
    headers = {"Authorization": f"Bearer {installed.key}", "Content-Type": "application/json"}
    connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
    return json.loads(connection.getresponse().read())


def ours(installed: Installation, batch: int = 1) -> Target:
    sessions = [call(installed, "POST", "/sessions", {"customer_id": f"c{n}"})["id"] for n in range(CLIENTS)]
    one = {"role": "user", "content": TEXT, "metadata": {"channel": "bench"}}
    body = json.dumps(one if batch == 1 else {"messages": [one] * batch}).encode()
    return Target(
        int(installed.url.rpartition(":")[2]),
        lambda number: f"/api/v1/sessions/{sessions[number]}/messages",
        lambda number: body,
        {"Authorization": f"Bearer {installed.key}", "Content-Type": "application/json"},
    )


@contextmanager
def stock(installed: Installation) -> Any:
    """The peer, served by the same kind of server with as many threads."""
    port = free_port()
    environment = {**installed.environment, "DJANGO_SETTINGS_MODULE": "benchmarks.stock.settings"}
    make = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        "from benchmarks.stock.models import BareMessage\n"
        "with connection.schema_editor() as editor: editor.create_model(BareMessage)\n"
    )
    subprocess.run([sys.executable, "-c", make], cwd=ROOT, env=environment, check=True)
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += [
        "--workers",
        "1",
        "--blocking-threads",
        "64",
        "--log-level",
        "error",
        "benchmarks.stock.wsgi:application",
    ]
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    session = str(uuid4())
    body = json.dumps(
        {"session": session, "role": "user", "content": TEXT, "metadata": {"channel": "bench"}}
    ).encode()
    try:
        for _ in range(100):
            with suppress(OSError):
                http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
                break
            time.sleep(0.1)
        headers = {"Content-Type": "application/json"}
        yield Target(port, lambda number: "/messages", lambda number: body, headers)
    finally:
        server.terminate()
        server.wait(20)


def compare(name: str, one: Callable[[], float], other: Callable[[], float], pairs: int, unit: str) -> float:
    """Print and return the median of one/other over A B A B pairs."""
    firsts, seconds, ratios = [], [], []
    for _ in range(pairs):
        firsts.append(one())
        seconds.append(other())
        ratios.append(firsts[-1] / seconds[-1])
    print(
        f"{name}: {statistics.median(ratios):.2f}x (range {min(ratios):.2f} to {max(ratios):.2f}; "
        f"{statistics.median(firsts):,.0f} against {statistics.median(seconds):,.0f} {unit})"
    )
    return statistics.median(ratios)


def copy_rate(installed: Installation) -> float:
    """Rows a second by COPY into a copy of the message table with its indexes."""
    with psycopg.connect(installed.environment["DATABASE_URL"]) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_copy")
        connection.execute("CREATE TABLE bench_copy (LIKE conversations_message INCLUDING ALL)")
        now = datetime.now(UTC)
        tenant, session = uuid4(), uuid4()
        columns = "id, created_at, tenant_id, session_id, role, position, sealed, scrubbed, scrubbed_attachments, pii, identifiers, metadata"
        millis = int(now.timestamp() * 1000)
        now = datetime.fromtimestamp(millis / 1000, UTC)
        buffer = io.BytesIO()
        for number in range(COPIED):
            identifier = f"{millis:012x}7000800{number:013x}"
            sealed = "\\\\x" + os.urandom(len(TEXT) + 60).hex()
            fields = [
                identifier,
                now.isoformat(),
                tenant,
                session,
                "user",
                number,
                sealed,
                TEXT,
                "",
                "[]",
                "{}",
                "{}",
            ]
            buffer.write(("\t".join(map(str, fields)) + "\n").encode())
        started = time.perf_counter()
        with connection.cursor().copy(f"COPY bench_copy ({columns}) FROM STDIN") as copy:
            copy.write(buffer.getvalue())
        connection.commit()
        seconds = time.perf_counter() - started
        connection.execute("DROP TABLE bench_copy")
    return COPIED / seconds


def flatness(installed: Installation) -> None:
    """Append at turn 10,000 of one session against turn 10, and the window from Redis and PostgreSQL."""
    long, short = (call(installed, "POST", "/sessions", {})["id"] for _ in range(2))
    for _ in range(10):
        call(
            installed,
            "POST",
            f"/sessions/{long}/messages",
            {"messages": [{"role": "user", "content": TEXT}] * 1000},
        )

    connection = http.client.HTTPConnection(installed.url.removeprefix("http://"), timeout=30)
    headers = {"Authorization": f"Bearer {installed.key}", "Content-Type": "application/json"}

    def p50(session: str, path: str, method: str = "GET", body: Any = None) -> float:
        sent = None if body is None else json.dumps(body)
        latencies = []
        for _ in range(60):
            started = time.perf_counter()
            connection.request(method, f"/api/v1/sessions/{session}{path}", sent, headers)
            connection.getresponse().read()
            latencies.append(1000 * (time.perf_counter() - started))
        return statistics.median(latencies)

    message = {"role": "user", "content": TEXT}
    call(installed, "POST", f"/sessions/{short}/messages", {"messages": [message] * 10})
    while call(installed, "GET", "/stats")["mirror"]["pending"]:
        time.sleep(1)  # the ten thousand would be followed meanwhile, on the same cores
    for name, path, method, body in (
        ("append at turn 10,000 against turn 10", "/messages", "POST", message),
        ("window from Redis at 10,000 against 10", "/window?limit=10", "GET", None),
        ("window from PostgreSQL at 10,000 against 10", "/window?limit=50", "GET", None),
        ("last page of the list at 10,000 against 10", "/messages?order=desc&limit=10", "GET", None),
    ):
        asked = (path, method, body)
        compare(name, partial(p50, long, *asked), partial(p50, short, *asked), 5, "ms p50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--requests", type=int, default=1600)
    options = parser.parse_args()
    with installation() as installed, stock(installed) as peer:
        single, batch = ours(installed), ours(installed, batch=50)
        for target in (single, peer):
            post_all(target, 400)  # warm
        compare(
            "append of one message, 8 clients, against a stock DRF view",
            lambda: post_all(single, options.requests)[0],
            lambda: post_all(peer, options.requests)[0],
            options.pairs,
            "requests/s",
        )
        compare(
            "batches of 50 against COPY into the same table with its indexes",
            lambda: 50 * post_all(batch, 160)[0],
            lambda: copy_rate(installed),
            options.pairs,
            "rows/s",
        )
        flatness(installed)


if __name__ == "__main__":
    main()
