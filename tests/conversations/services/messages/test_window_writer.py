"""Windows are written after the commit; who reads one meanwhile learns whether Redis took what was appended."""

import socket

import pytest

from conversations import ids
from conversations.backends import configured
from conversations.backends.values import WindowEntry, WindowKey
from conversations.services.messages.window_writer import WindowWriter
from tests.waiting import eventually

KEY = WindowKey(ids.new_id(ids.now()), ids.new_id(ids.now()))

writer = WindowWriter()


@pytest.fixture(autouse=True)
def stores_of_this_test_only():
    configured.forget_stores()
    yield
    configured.forget_stores()


def push_and_flush() -> bool:
    writer.push(KEY, 1, [WindowEntry(1, b"sealed")])
    return writer.flush(KEY)


def test_flush_returns_when_redis_has_what_was_pushed(settings, redis_server):
    settings.REDIS_URL = redis_server

    assert eventually(push_and_flush)
    assert configured.window_store().present([KEY]) == {KEY}


def test_flush_tells_that_a_hanging_redis_took_nothing(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"

        eventually(lambda: not push_and_flush())
