"""A thousand appends to one conversation in process, beside the two stores that agents use most.

    uv run python -m benchmarks.peers [--pairs 3]

The peers (langgraph-checkpoint-postgres' PostgresSaver with one `messages` channel, langchain-postgres'
PostgresChatMessageHistory) run in environments of their own, on the same PostgreSQL with durable commits. Ours does what it
always does: authentication apart, tenant, scrubbing, sealing, outbox and triggers. There is no other store and nothing
runs beside either of them: the peers have no mirrors that a worker would have to follow.

What is appended is said by the demo's people and agents, one after the other: a sentence repeated a thousand times would
compress to almost nothing where a whole conversation is one value. The peers take messages as LangGraph's `add_messages`
leaves them, each an object with an id.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from benchmarks.databases import running_postgres, settings_for
from benchmarks.installation import ROOT
from conversations.demo import conversations

TURNS = 1000

# Each program reads the turns, pairs of role and content, as JSON, and prints the seconds it took to append them.
OURS = """
import json, os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from uuid import uuid4
from conversations.inputs import MessageIn, SessionIn
from conversations.services import sessions
from conversations.services.accounts import tenants
from conversations.services.messages import appends
turns = json.load(sys.stdin)
tenant = tenants.create_tenant(name=str(uuid4()))
session, _ = sessions.create_session(tenant_id=tenant.id, body=SessionIn(customer_id="c"))
started = time.perf_counter()
for role, content in turns:
    appends.append_messages(tenant_id=tenant.id, session_id=session.id, given=[MessageIn(role=role, content=content)])
print(time.perf_counter() - started)
"""

LANGGRAPH = """
import json, os, sys, time
from uuid import uuid4
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
kinds = {"user": HumanMessage, "assistant": AIMessage}
turns = json.load(sys.stdin)
with PostgresSaver.from_conn_string(os.environ["DATABASE_URL"]) as saver:
    saver.setup()
    config = {"configurable": {"thread_id": str(uuid4()), "checkpoint_ns": ""}}
    messages = []
    started = time.perf_counter()
    for turn, (role, content) in enumerate(turns):
        messages.append(kinds[role](content=content, id=str(uuid4())))
        checkpoint = empty_checkpoint()
        version = f"{turn + 1:032}"
        checkpoint["channel_values"] = {"messages": list(messages)}
        checkpoint["channel_versions"] = {"messages": version}
        config = saver.put(config, checkpoint, {"source": "loop", "step": turn, "parents": {}}, {"messages": version})
    print(time.perf_counter() - started)
"""

LANGCHAIN = """
import json, os, sys, time
from uuid import uuid4
import psycopg
from langchain_core.messages import AIMessage, HumanMessage
from langchain_postgres import PostgresChatMessageHistory
kinds = {"user": HumanMessage, "assistant": AIMessage}
turns = json.load(sys.stdin)
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    PostgresChatMessageHistory.create_tables(connection, "bench_history")
    history = PostgresChatMessageHistory("bench_history", str(uuid4()), sync_connection=connection)
    started = time.perf_counter()
    for role, content in turns:
        history.add_messages([kinds[role](content=content, id=str(uuid4()))])
    print(time.perf_counter() - started)
"""

PEERS = {
    "langgraph-checkpoint-postgres PostgresSaver": ("langgraph-checkpoint-postgres~=3.2", LANGGRAPH),
    "langchain-postgres PostgresChatMessageHistory": ("langchain-postgres~=0.0.19", LANGCHAIN),
}


def demo_turns() -> str:
    """What people and agents say to each other in the demo, as the programs read it."""
    said = (
        (message.role, message.content)
        for tenant in conversations(datetime.now(UTC))
        for session in tenant.sessions
        for message in session.messages
        if message.role in ("user", "assistant")
    )
    return json.dumps(list(islice(said, TURNS)))


def seconds(command: list[str], program: str, turns: str, environment: Mapping[str, str]) -> float:
    """What the program measured of itself."""
    done = subprocess.run(
        [*command, "-c", program], input=turns, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    turns = demo_turns()
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
                ours.append(seconds([sys.executable], OURS, turns, environment))
                theirs.append(seconds(peer, program, turns, environment))
            ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
            print(
                f"{TURNS} appends: {statistics.median(ratios):.1f}x as fast as {name} "
                f"(range {min(ratios):.1f} to {max(ratios):.1f}; {statistics.median(ours):.2f} s against "
                f"{statistics.median(theirs):.2f} s)"
            )


if __name__ == "__main__":
    main()
