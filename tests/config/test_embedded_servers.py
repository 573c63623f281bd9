"""The fixtures' servers are the ones `up` starts: what they promise is promised there too."""

import psycopg
import redis
from pymilvus import MilvusClient


def test_postgres_server_gives_a_superuser_with_builtin_locale(postgres_server):
    with psycopg.connect(postgres_server) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000, rolsuper, datlocale"
            " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
        ).fetchone()

    assert row[0] >= 17
    assert row[1:] == (True, "C.UTF-8")


def test_redis_server_keeps_two_databases_apart(redis_server):
    first = redis.Redis.from_url(redis_server)
    second = redis.Redis.from_url(redis_server.removesuffix("/0") + "/1")

    first.set("k", "1", ex=60)
    second.set("k", "2", ex=60)

    assert (first.get("k"), second.get("k")) == (b"1", b"2")


def test_milvus_server_stores_and_finds(milvus_server):
    client = MilvusClient(uri=milvus_server)
    client.create_collection("probe", dimension=4)

    client.insert("probe", [{"id": 7, "vector": [1.0, 0.0, 0.0, 0.0]}])
    found = client.search("probe", data=[[1.0, 0.0, 0.0, 0.0]], limit=1)

    assert found[0][0]["id"] == 7
    client.drop_collection("probe")
