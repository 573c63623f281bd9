"""A thousand appends to one conversation in process, beside the two stores that agents use most.

    uv run python -m benchmarks.peers [--pairs 3]

The peers (langgraph-checkpoint-postgres' PostgresSaver with one `messages` channel, langchain-postgres'
PostgresChatMessageHistory) run in environments of their own, on the same PostgreSQL with durable commits. Ours does what it
always does: authentication apart, tenant, scrubbing, sealing, outbox and triggers. There is no other store and nothing
runs beside either of them: the peers have no mirrors that a worker would have to follow.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.databases import running_postgres, settings_for
from benchmarks.installation import ROOT

TURNS = 1000
TEXT = (
    "We still have not received the four hundred boxes for the ten inch pizzas that we ordered on Monday. "
    * 4
)

OURS = f"""
import os, time
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from uuid import uuid4
from conversations.inputs import MessageIn, SessionIn
from conversations.services import sessions
from conversations.services.accounts import tenants
from conversations.services.messages import appends
tenant = tenants.create_tenant(name=str(uuid4()))
session, _ = sessions.create_session(tenant_id=tenant.id, body=SessionIn(customer_id="c"))
started = time.perf_counter()
for _ in range({TURNS}):
    appends.append_messages(tenant_id=tenant.id, session_id=session.id, given=[MessageIn(role="user", content={TEXT!r})])
print(time.perf_counter() - started)
"""

LANGGRAPH = f"""
import os, time, uuid
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
with PostgresSaver.from_conn_string(os.environ["DATABASE_URL"]) as saver:
    saver.setup()
    config = {{"configurable": {{"thread_id": str(uuid.uuid4()), "checkpoint_ns": ""}}}}
    messages = []
    started = time.perf_counter()
    for turn in range({TURNS}):
        messages.append({{"role": "user", "content": {TEXT!r}}})
        checkpoint = empty_checkpoint()
        version = f"{{turn + 1:032}}"
        checkpoint["channel_values"] = {{"messages": list(messages)}}
        checkpoint["channel_versions"] = {{"messages": version}}
        config = saver.put(config, checkpoint, {{"source": "loop", "step": turn, "parents": {{}}}}, {{"messages": version}})
    print(time.perf_counter() - started)
"""

LANGCHAIN = f"""
import os, time, uuid
import psycopg
from langchain_core.messages import HumanMessage
from langchain_postgres import PostgresChatMessageHistory
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    PostgresChatMessageHistory.create_tables(connection, "bench_history")
    history = PostgresChatMessageHistory("bench_history", str(uuid.uuid4()), sync_connection=connection)
    started = time.perf_counter()
    for _ in range({TURNS}):
        history.add_messages([HumanMessage(content={TEXT!r})])
    print(time.perf_counter() - started)
"""

PEERS = {
    "langgraph-checkpoint-postgres PostgresSaver": ("langgraph-checkpoint-postgres~=3.2", LANGGRAPH),
    "langchain-postgres PostgresChatMessageHistory": ("langchain-postgres~=0.0.19", LANGCHAIN),
}


def seconds(command: list[str], program: str, environment: Mapping[str, str]) -> float:
    """What the program measured of itself."""
    done = subprocess.run(
        [*command, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="remembrancer-peers-") as home,
        running_postgres(Path(home)) as url,
    ):
        environment = {**os.environ, **settings_for(url, Path(home))}
        for command in ("migrate", "ensure_partitions"):
            subprocess.run(
                [sys.executable, "manage.py", command],
                cwd=ROOT,
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        for name, (package, program) in PEERS.items():
            peer = [
                "uv",
                "run",
                "--no-project",
                "--quiet",
                "--with",
                package,
                "--with",
                "psycopg[binary]",
                "python",
            ]
            ours, theirs = [], []
            for _ in range(options.pairs):
                ours.append(seconds([sys.executable], OURS, environment))
                theirs.append(seconds(peer, program, environment))
            ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
            print(
                f"{TURNS} appends: {statistics.median(ratios):.1f}x as fast as {name} "
                f"(range {min(ratios):.1f} to {max(ratios):.1f}; {statistics.median(ours):.2f} s against "
                f"{statistics.median(theirs):.2f} s)"
            )


if __name__ == "__main__":
    main()
