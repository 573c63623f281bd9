"""Recall on LoCoMo through the running product: HTTP, PostgreSQL, Milvus, Elasticsearch.

    python benchmarks/recall.py LOCOMO-JSON --elasticsearch http://127.0.0.1:9200       all modes, servers of our own
    python benchmarks/recall.py LOCOMO-JSON --only alone                               one mode of them
    python benchmarks/recall.py LOCOMO-JSON --url http://127.0.0.1:8000 --key KEY [--load]  one that is running

Every conversation is one customer, every turn one message with its session's date; each question is searched for in
that customer's messages, and its evidence is what should be found. Without --url an `up` of its own is started on a
temporary folder and loaded once; it then answers with Elasticsearch and Milvus, without Elasticsearch, and with
PostgreSQL alone. Prints the figures beside their floors; exit status 1 where one is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import locomo  # noqa: E402  (the path first)

LIMIT = locomo.DEPTH  # hits asked for; also what the API gives by itself
P95_MS = 60.0


@dataclass(frozen=True)
class Setup:
    """Which stores take part, and what must be reached: R@10, macro NDCG@10, session Hit@1."""

    option: str
    name: str
    off: Sequence[str]
    floors: tuple[float, float, float]


SETUPS = (
    Setup("both", "Elasticsearch and Milvus", (), (84, 60, 0.79)),
    Setup("milvus", "PostgreSQL and Milvus", ("ELASTICSEARCH_URL",), (84, 60, 0.79)),
    Setup("alone", "PostgreSQL alone", ("ELASTICSEARCH_URL", "MILVUS_URI"), (82, 58, 0.78)),
)


class Api:
    """A client with a kept connection."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=f"{url.rstrip('/')}/api/v1", headers=headers, timeout=60)

    def call(self, method: str, path: str, body: object = None) -> dict:
        response = self._client.request(method, path, json=body)
        if response.is_error:
            sys.exit(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response.json()


@contextlib.contextmanager
def running(folder: Path, environ: Mapping[str, str]) -> Iterator[Api]:
    """The product on its own servers, until the block ends."""
    log = (folder.parent / "up.log").open("ab")
    command = [sys.executable, "manage.py", "up", "--data", str(folder), "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(environ), stdout=log, stderr=log)
    try:
        yield _wait_ready(process, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        log.close()


def _wait_ready(process: subprocess.Popen[bytes], folder: Path) -> Api:
    deadline = time.monotonic() + 180
    credentials = folder / "credentials.json"
    before = credentials.read_bytes() if credentials.exists() else b""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"`up` ended:\n{(folder.parent / 'up.log').read_text()[-3000:]}")
        if credentials.exists() and credentials.read_bytes() != before:
            given = json.loads(credentials.read_text())
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{given['url']}/readyz", timeout=5).status_code == 200:
                    return Api(given["url"], given["api_key"])
        time.sleep(0.2)
    sys.exit("`up` did not become ready")


def load(api: Api, conversations: Sequence[locomo.Conversation]) -> None:
    """Store every conversation, and wait until the mirrors have followed."""
    started = time.perf_counter()
    count = 0
    for conversation in conversations:
        for number, turns in groupby(conversation.turns, key=lambda turn: turn.session):
            external_id = f"{conversation.name}:S{number}"
            session = api.call(
                "POST",
                "/sessions",
                {"external_id": external_id, "customer_id": conversation.name, "language": "en"},
            )
            messages = [
                {
                    "external_id": turn.id,
                    "name": turn.speaker,
                    "role": "user" if turn.speaker == conversation.names[0] else "assistant",
                    "content": turn.text.strip() or "(no text)",
                    "occurred_at": turn.at.isoformat(),
                }
                for turn in turns
            ]
            api.call("POST", f"/sessions/{session['id']}/messages", {"messages": messages})
            count += len(messages)
    stored = time.perf_counter()
    wait_for_mirrors(api)
    print(
        f"{count} messages stored in {stored - started:.1f} s, mirrored {time.perf_counter() - stored:.1f} s later"
    )


def wait_for_mirrors(api: Api) -> None:
    deadline = time.monotonic() + 600
    while api.call("GET", "/stats")["mirror"]["pending"]:
        if time.monotonic() > deadline:
            sys.exit("the mirrors did not catch up")
        time.sleep(0.5)
    time.sleep(1.5)  # a refresh of Elasticsearch


@dataclass(frozen=True)
class Measured:
    outcomes: list[locomo.Outcome]
    milliseconds: list[float]
    stores: set[str]
    degraded: set[str]


def measure(api: Api, conversations: Sequence[locomo.Conversation]) -> Measured:
    """Ask every question."""
    measured = Measured([], [], set(), set())
    for conversation in conversations:
        place = {turn.id: i for i, turn in enumerate(conversation.turns)}
        for query in conversation.queries:
            body = {
                "query": query.text,
                "customer_id": conversation.name,
                "scope": ["messages"],
                "limit": LIMIT,
            }
            started = time.perf_counter()
            answer = api.call("POST", "/search", body)
            measured.milliseconds.append(1e3 * (time.perf_counter() - started))
            measured.stores.update(answer["stores"])
            measured.degraded.update(answer["degraded"])
            top = [place[hit["message"]["external_id"]] for hit in answer["data"]]
            measured.outcomes.append(locomo.judge(query, conversation.turns, top))
    return measured


def report(name: str, measured: Measured, floors: Sequence[float] = (0, 0, 0)) -> bool:
    """Print the figures; whether all floors were reached."""
    recall, ndcg, hit = locomo.summary(measured.outcomes)
    p50, p95 = np.percentile(measured.milliseconds, [50, 95])
    print(f"\n{name}: {len(measured.outcomes)} questions, answered by {', '.join(sorted(measured.stores))}")
    if measured.degraded:
        print(f"  degraded: {', '.join(sorted(measured.degraded))}")
    print(
        f"  R@10 {recall:.1f} (floor {floors[0]:g}), macro NDCG@10 {ndcg:.1f} (floor {floors[1]:g}), ", end=""
    )
    print(f"session Hit@1 {hit:.3f} (floor {floors[2]:g})")
    print(f"  search p50 {p50:.1f} ms, p95 {p95:.1f} ms (limit {P95_MS:g} ms)")
    for category, title in locomo.CATEGORIES.items():
        if chosen := [outcome for outcome in measured.outcomes if outcome.category == category]:
            r, n, h = locomo.summary(chosen)
            print(f"    {title:<12} {len(chosen):>5}: R@10 {r:.1f}, NDCG@10 {n:.1f}, Hit@1 {h:.3f}")
    sys.stdout.flush()
    reached = recall >= floors[0] and ndcg >= floors[1] and hit >= floors[2]
    return reached and p95 < P95_MS and not measured.degraded


def measure_all(
    conversations: Sequence[locomo.Conversation], elasticsearch: str, chosen: Sequence[Setup]
) -> bool:
    """Load once, then answer with every setup; whether all reached their floors."""
    prefix = f"recall-{uuid4().hex[:8]}"
    names = ("ELASTICSEARCH_URL", "MILVUS_URI", "DATABASE_URL", "REDIS_URL", "DATA_DIR")
    environ = {name: value for name, value in os.environ.items() if name not in names}
    environ |= {"ELASTICSEARCH_PREFIX": prefix, "ELASTICSEARCH_REPLICAS": "0", "ELASTICSEARCH_SHARDS": "1"}
    everything = {**environ, "ELASTICSEARCH_URL": elasticsearch}
    reached = True
    with tempfile.TemporaryDirectory(prefix="recall-") as temporary:
        folder = Path(temporary) / "data"
        try:
            for setup in chosen:
                with running(folder, {**everything, **dict.fromkeys(setup.off, "")}) as api:
                    if setup is chosen[0]:
                        load(api, conversations)
                    wait_for_mirrors(api)
                    reached &= report(setup.name, measure(api, conversations), setup.floors)
        finally:
            if elasticsearch:
                httpx.delete(f"{elasticsearch}/{prefix}-*", params={"expand_wildcards": "all"}, timeout=60)
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the LoCoMo file")
    parser.add_argument("--elasticsearch", default="", metavar="URL", help="of an Elasticsearch 9")
    parser.add_argument("--only", choices=[setup.option for setup in SETUPS], help="one mode instead of all")
    parser.add_argument("--url", help="of a running product")
    parser.add_argument("--key", help="an API key of it, with read and write")
    parser.add_argument("--load", action="store_true", help="with --url: store the conversations first")
    options = parser.parse_args()
    conversations = locomo.read(options.data)
    if options.url:
        api = Api(options.url, options.key)
        if options.load:
            load(api, conversations)
        return 0 if report(options.url, measure(api, conversations)) else 1
    possible = SETUPS if options.elasticsearch else SETUPS[1:]
    chosen = [setup for setup in possible if options.only in (None, setup.option)]
    return 0 if measure_all(conversations, options.elasticsearch, chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
