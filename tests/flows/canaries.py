"""Looking for needles in every store of an installation, past all of our own code."""

from collections.abc import Collection, Iterator
from pathlib import Path

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import redis
from psycopg import sql
from pymilvus import MilvusClient

from benchmarks.installation import Installation


def places_with(installed: Installation, needle: str, ids: Collection[str] = ()) -> set[str]:
    """Where the needle stands; `ids` are looked for where nothing of theirs may be left beside the record."""
    return {
        *in_postgresql(installed, needle),
        *in_elasticsearch(installed, needle, ids),
        *in_milvus(installed, ids),
        *in_redis(installed, needle, ids),
        *in_files(installed, needle, ids),
    }


def in_postgresql(installed: Installation, needle: str) -> Iterator[str]:
    """Every table, whole rows as text: JSON, arrays, search vectors, and bytes in hexadecimal."""
    with psycopg.connect(installed.environment["DATABASE_URL"]) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            query = sql.SQL("SELECT EXISTS (SELECT FROM {} t WHERE t::text ~* %s)").format(sql.SQL(table))
            found = connection.execute(query, [f"{needle}|{needle.encode().hex()}"]).fetchone()
            if found == (True,):
                yield f"postgresql {table}"


def in_elasticsearch(installed: Installation, needle: str, ids: Collection[str]) -> Iterator[str]:
    """Every index: the word in any field, and the ids in those of documents."""
    url, prefix = (installed.environment[name] for name in ("ELASTICSEARCH_URL", "ELASTICSEARCH_PREFIX"))
    httpx.post(f"{url}/{prefix}-*/_refresh").raise_for_status()
    words = {"multi_match": {"query": needle, "fields": ["*"], "lenient": True}}
    for query in (words, {"match_all": {}}):
        answer = httpx.post(f"{url}/{prefix}-*/_search", json={"query": query, "size": 10_000})
        answer.raise_for_status()
        for hit in answer.json()["hits"]["hits"]:
            if query is words or any(one in hit["_id"] for one in ids):
                yield f"elasticsearch {hit['_index'].removeprefix(prefix)}"


def in_milvus(installed: Installation, ids: Collection[str]) -> Iterator[str]:
    client = MilvusClient(installed.environment["MILVUS_URI"])
    try:
        for collection in client.list_collections():
            rows = client.query(collection, filter='pk != ""', output_fields=["*"], limit=16_000)
            if any(one in str(row) for row in rows for one in ids):
                yield f"milvus {collection}"
    finally:
        client.close()


def in_redis(installed: Installation, needle: str, ids: Collection[str]) -> Iterator[str]:
    """Keys and values of every database: windows, caches, queues."""
    client = redis.Redis.from_url(installed.environment["REDIS_URL"])
    wanted = [needle.encode(), *(one.encode() for one in ids)]
    for key in client.scan_iter(count=1_000):
        stored = key + (client.dump(key) or b"")
        if any(one in stored for one in wanted):
            yield f"redis {key[:40].decode(errors='replace')}"


def in_files(installed: Installation, needle: str, ids: Collection[str]) -> Iterator[str]:
    """Files below the data folder but PostgreSQL's own: what its heap keeps for a while, receipts say."""
    wanted = [needle.encode(), *(one.encode() for one in ids)]
    for path in installed.folder.rglob("*"):
        name = path.relative_to(installed.folder)
        if not path.is_file() or name.parts[0] in ("postgresql", "erasures.jsonl"):
            continue
        data = path.read_bytes() + b"".join(_texts(path))
        if any(one in data for one in wanted):
            yield f"files {'/'.join(name.parts[:2])}"


def _texts(path: Path) -> Iterator[bytes]:
    """What a Parquet file says: its pages are compressed."""
    if path.suffix != ".parquet":
        return
    for column in pq.read_table(path).columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            yield "\n".join(value for value in column.to_pylist() if value).encode()
