"""What a context costs: p50 and p95 of `POST /sessions/{id}/context` with all its parts on the demo, one client.

    uv run python -m benchmarks.contexts [--requests 300] [--sessions 2000]

Starts `up --demo`, asks for the context of sessions of every sample tenant, in turn and with no query of its own, as an
agent does before each answer. Then the same is asked for customers of 20, 200 and many more sessions: the ratios of the
medians tell whether it is flat. 20 short sessions are fewer messages than a search ranks; 200 are more.
"""

import argparse
import http.client
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.appends import compare
from benchmarks.installation import Installation, installation

FEW = (20, 200)  # sessions
PARTS = ("recent_messages", "recalled", "portrait", "preferences", "conversation_summary")


class Client:
    """Keeps one connection."""

    def __init__(self, installed: Installation, key: str) -> None:
        self._wire = http.client.HTTPConnection(installed.url.removeprefix("http://"), timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        self._wire.request(
            method, f"/api/v1{path}", None if body is None else json.dumps(body), self._headers
        )
        response = self._wire.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:300]!r}")
        return json.loads(answer)


def measure(client: Client, sessions: list[str], requests: int) -> list[float]:
    """Milliseconds of each request, sessions in turn."""
    latencies = []
    for number in range(requests):
        started = time.perf_counter()
        answer = client("POST", f"/sessions/{sessions[number % len(sessions)]}/context", {})
        latencies.append(1000 * (time.perf_counter() - started))
        if any(part not in answer for part in PARTS):
            raise RuntimeError(f"a part is missing of {sorted(answer)}")
    return latencies


def summary_of(latencies: list[float]) -> str:
    p95 = statistics.quantiles(latencies, n=20)[18]
    return f"p50 {statistics.median(latencies):.1f} ms, p95 {p95:.1f} ms, {len(latencies)} requests"


def demo(installed: Installation, requests: int) -> None:
    credentials = json.loads(Path(installed.folder, "credentials.json").read_text())
    every: list[float] = []
    for name, keys in credentials["demo"].items():
        client = Client(installed, keys["api_key"])
        sessions = [one["id"] for one in client("GET", "/sessions?limit=50")["data"] if one["customer_id"]]
        measure(client, sessions, len(sessions))  # warm: windows, keys and vectors
        latencies = measure(client, sessions, requests // len(credentials["demo"]))
        print(f"{name}: {summary_of(latencies)}")
        every += latencies
    print(f"all of the demo: {summary_of(every)}")


def flatness(installed: Installation, sessions: int) -> None:
    client = Client(installed, installed.key)
    line = "We ordered four hundred red boxes for the outlet in Tampines, and they have not come yet."

    def grow(customer: str, count: int) -> list[str]:
        made = []
        for number in range(count):
            session = client("POST", "/sessions", {"customer_id": customer})["id"]
            said = [
                {"role": "user", "content": f"{line} Number {number}."},
                {"role": "assistant", "content": "Sorry."},
            ]
            client("POST", f"/sessions/{session}/messages", {"messages": said})
            made.append(session)
        return made[-20:]

    asked = {count: grow(f"of {count}", count) for count in (*FEW, sessions)}
    installed.manage("drain_mirror", "--until-empty")
    for some in asked.values():
        measure(client, some, 40)

    def median(count: int) -> float:
        return statistics.median(measure(client, asked[count], 40))

    for few in FEW:
        name = f"a customer of {sessions} sessions against one of {few}"
        compare(name, partial(median, sessions), partial(median, few), 7, "ms p50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--sessions", type=int, default=2000)
    options = parser.parse_args()
    with installation(demo=True) as installed:
        demo(installed, options.requests)
        flatness(installed, options.sessions)


if __name__ == "__main__":
    main()
