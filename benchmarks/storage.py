"""What conversations take on disk: bytes a message in each store, when every mirror has followed.

    uv run python -m benchmarks.storage [--messages 30000]

Starts a whole installation, imports messages that the demo's people and agents say, and waits for the mirrors. With
ELASTICSEARCH_URL set, its index is measured too. Sizes are those of the files, after a checkpoint and without the log that
PostgreSQL writes ahead, which is told apart: it is what a replica or an archive of the log has to take.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg

from benchmarks.installation import Installation, installation
from conversations.demo import conversations

TURNS = 20  # of a session
SESSIONS = 5  # of a customer
INDEX_PREFIX = f"bench-{uuid4().hex[:8]}"

_RELATIONS = """
    SELECT coalesce(parent.relname, own.relname), sum(pg_table_size(own.oid)), sum(pg_indexes_size(own.oid))
    FROM pg_class own
    LEFT JOIN pg_inherits i ON i.inhrelid = own.oid
    LEFT JOIN pg_class parent ON parent.oid = i.inhparent
    WHERE own.relkind = 'r' AND own.relnamespace = 'public'::regnamespace
    GROUP BY 1
"""


def said() -> Iterator[str]:
    """Two or three sentences of the demo at a time, over and over, no two alike."""
    sentences = [
        message.content
        for tenant in conversations(datetime.now(UTC))
        for session in tenant.sessions
        for message in session.messages
    ]
    for number in itertools.count():
        some = (sentences[(number * step + step) % len(sentences)] for step in (1, 7, 31)[: 2 + number % 2])
        yield f"{' '.join(some)} ({number})"


def write_file(path: Path, messages: int) -> int:
    """The bytes of the contents alone."""
    start = datetime.now(UTC) - timedelta(days=20)
    payload = 0
    with path.open("w") as file:
        for number, content in enumerate(itertools.islice(said(), messages)):
            session = number // TURNS
            payload += len(content.encode())
            line = {
                "session_id": f"s{session}",
                "customer_id": f"c{session // SESSIONS}",
                "external_id": f"m{number}",
                "role": "assistant" if number % 2 else "user",
                "content": content,
                "created_at": (start + timedelta(seconds=number)).isoformat(),
            }
            file.write(json.dumps(line) + "\n")
    return payload


def in_postgresql(url: str) -> dict[str, int]:
    """Bytes by kind of table."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        sizes = {name: (int(table), int(indexes)) for name, table, indexes in connection.execute(_RELATIONS)}
    messages, indexes = sizes.pop("conversations_message")
    return {
        "PostgreSQL, messages": messages,
        "PostgreSQL, their indexes": indexes,
        "PostgreSQL, words of search": sum(sizes.pop("conversations_messageindex")),
        "PostgreSQL, outbox (used again)": sum(sizes.pop("conversations_mirrorevent")),
        "PostgreSQL, everything else": sum(sum(size) for size in sizes.values()),
    }


def logged(url: str) -> int:
    """Bytes of log that PostgreSQL has written since it was made."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()
    return int(row[0]) if row else 0


def in_elasticsearch(url: str) -> int:
    with urllib.request.urlopen(f"{url}/{INDEX_PREFIX}-*/_stats/store") as answer:
        return int(json.load(answer)["_all"]["primaries"]["store"]["size_in_bytes"])


def below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def wait_for_mirrors(installed: Installation) -> None:
    """Until no event is open."""
    request = urllib.request.Request(
        f"{installed.url}/api/v1/stats", headers={"Authorization": f"Bearer {installed.key}"}
    )
    while True:
        with urllib.request.urlopen(request) as answer:
            if json.load(answer)["mirror"]["pending"] == 0:
                return
        time.sleep(1)


def stored(installed: Installation, elasticsearch: str) -> dict[str, int]:
    """Bytes by place."""
    sizes = in_postgresql(installed.environment["DATABASE_URL"])
    sizes["Milvus Lite"] = below(installed.folder / "milvus")
    if elasticsearch:
        sizes["Elasticsearch, without replicas"] = in_elasticsearch(elasticsearch)
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=30_000)
    options = parser.parse_args()
    elasticsearch = os.environ.get("ELASTICSEARCH_URL", "")
    with (
        installation(ELASTICSEARCH_PREFIX=INDEX_PREFIX) as installed,
        tempfile.TemporaryDirectory() as folder,
    ):
        database = installed.environment["DATABASE_URL"]
        path = Path(folder, "conversations.jsonl")
        payload = write_file(path, options.messages)
        tenant = json.loads((installed.folder / "credentials.json").read_text())["tenant"]
        before, log_before = stored(installed, elasticsearch), logged(database)
        started = time.monotonic()
        installed.manage("import_conversations", str(path), "--tenant", tenant, "--format", "jsonl")
        wait_for_mirrors(installed)
        seconds = time.monotonic() - started
        after, log_after = stored(installed, elasticsearch), logged(database)
    print(
        f"{options.messages:,} messages of {payload / options.messages:.0f} bytes, with mirrors after {seconds:.0f} s"
    )
    grown = {place: (after[place] - before[place]) / options.messages for place in after}
    for place, size in grown.items():
        print(f"{place:36} {size:7,.0f} bytes a message")
    print(
        f"{'together':36} {sum(grown.values()):7,.0f} bytes, {sum(grown.values()) * options.messages / payload:.1f}x the contents"
    )
    print(
        f"{'PostgreSQL, log written ahead':36} {(log_after - log_before) / options.messages:7,.0f} bytes a message"
    )


if __name__ == "__main__":
    main()
