"""The window: the last messages, from Redis or PostgreSQL, always the same."""

from uuid import UUID

import pytest
from redis import Redis

from conversations.backends.configured import forget_stores, window_store
from conversations.backends.values import WindowKey
from tests.conversations.api.conftest import Caller


@pytest.fixture
def redis(redis_server, settings):
    settings.REDIS_URL = redis_server
    forget_stores()
    yield window_store()
    forget_stores()


@pytest.fixture
def path(caller: Caller) -> str:
    return f"/sessions/{caller('POST', '/sessions', {'customer_id': 'ann'}).json()['id']}"


def say(caller, path, *roles, content="word"):
    for number, role in enumerate(roles):
        caller("POST", f"{path}/messages", {"role": role, "content": f"{content} {number}"})


def window(caller, path, query=""):
    response = caller("GET", f"{path}/window{query}")
    assert response.status_code == 200
    return response.json()


def test_the_last_messages_come_oldest_first(caller, path, redis):
    say(caller, path, *["user"] * 25)

    answer = window(caller, path)

    assert (answer["object"], answer["source"], answer["degraded"]) == ("window", "redis", [])
    assert [m["position"] for m in answer["data"]] == list(range(6, 26))


def test_it_is_the_same_without_redis(caller, path, redis):
    say(caller, path, *["user"] * 5)
    cached = window(caller, path, "?limit=3")
    redis.forget(WindowKey(caller.tenant_id, UUID(path.rsplit("/", 1)[1])))

    answer = window(caller, path, "?limit=3")

    assert (cached["source"], answer["source"]) == ("redis", "postgresql")
    assert answer["data"] == cached["data"]
    assert window(caller, path, "?limit=3")["source"] == "redis"


def test_a_context_names_redis_also_when_it_had_nothing(caller, path, redis):
    say(caller, path, "user")
    redis.forget(WindowKey(caller.tenant_id, UUID(path.rsplit("/", 1)[1])))

    missed, found = (caller("POST", f"{path}/context", {"message_limit": 3}).json() for _ in range(2))

    assert "redis" in missed["stores"]
    assert "redis" in found["stores"]


def test_more_than_redis_holds_comes_from_postgresql(caller, path, redis):
    say(caller, path, *["user"] * 25)

    answer = window(caller, path, "?limit=24")

    assert answer["source"] == "postgresql"
    assert len(answer["data"]) == 24


def test_redis_away_is_said_and_does_not_fail(caller, path, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    forget_stores()
    say(caller, path, "user")

    answer = window(caller, path)

    forget_stores()
    assert (answer["source"], answer["degraded"], len(answer["data"])) == ("postgresql", ["redis"], 1)


def test_system_messages_count_only_when_asked_for(caller, path, redis):
    say(caller, path, "system", "user", "developer", "assistant")

    assert [m["role"] for m in window(caller, path)["data"]] == ["user", "assistant"]
    assert len(window(caller, path, "?include_system=true")["data"]) == 4


def test_system_messages_do_not_crowd_out_what_was_said(caller, path, redis):
    say(caller, path, "user")
    say(caller, path, *["system"] * 30)

    assert [m["role"] for m in window(caller, path)["data"]] == ["user"]


def test_a_result_is_not_shown_without_its_call(caller, path, redis):
    say(caller, path, "user", "assistant", "tool", "tool", "assistant")

    assert [m["role"] for m in window(caller, path, "?limit=3")["data"]] == ["assistant"]
    assert [m["role"] for m in window(caller, path, "?limit=4")["data"]] == [
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]


def test_max_tokens_keeps_the_newest(caller, path, redis):
    say(caller, path, "user", "user", "user", content="x" * 400)

    assert [m["position"] for m in window(caller, path, "?max_tokens=220")["data"]] == [2, 3]
    assert window(caller, path, "?max_tokens=1")["data"] == []


def test_what_redis_holds_is_sealed(caller, path, redis, redis_server):
    say(caller, path, "user", content="the canary sings")

    client = Redis.from_url(redis_server)
    dumped = b"".join(value for key in client.scan_iter("t:*:w:*") for value in client.lrange(key, 0, -1))

    assert dumped
    assert b"canary" not in dumped


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "max_tokens=0", "include_system=maybe", "page=2"])
def test_bad_parameters_are_refused(caller, path, query):
    assert caller("GET", f"{path}/window?{query}").status_code == 400
