"""Notifications through Redis that a session changed. A lost one only delays: events are read from PostgreSQL."""

import time

import redis
import structlog
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.retry import Retry

from conversations.backends.values import WindowKey
from conversations.backends.window import SOCKET_TIMEOUT, channel_name

log = structlog.get_logger(__name__)

PAUSE = 5.0  # seconds without asking a Redis that did not answer


class SessionListener:
    """Woken when the session changes. Has a connection of its own until it is closed; used by one thread."""

    def __init__(self, url: str, key: WindowKey) -> None:
        self._channel = channel_name(key)
        self._deaf_until = 0.0
        self._pubsub: PubSub | None = None
        self._client: redis.Redis | None = None
        if url:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=SOCKET_TIMEOUT,
                socket_connect_timeout=SOCKET_TIMEOUT,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                driver_info=None,
            )
            self._listen()

    def wait(self, seconds: float) -> None:
        """Return when the session has changed, or after that time."""
        if self._pubsub is None and self._client is not None and time.monotonic() > self._deaf_until:
            self._listen()
            return  # notifications sent meanwhile were lost
        if self._pubsub is None:
            time.sleep(seconds)
            return
        try:
            self._pubsub.get_message(timeout=seconds)
            while self._pubsub.get_message(
                timeout=0
            ):  # one look at the record covers all notifications so far
                pass
        except (redis.RedisError, OSError) as error:
            self._give_up(error)
            time.sleep(seconds)

    def close(self) -> None:
        if self._pubsub is not None:
            self._pubsub.close()
        if self._client is not None:
            self._client.close()

    def _listen(self) -> None:
        assert self._client is not None
        self._pubsub = PubSub(self._client.connection_pool, ignore_subscribe_messages=True)
        try:
            self._pubsub.subscribe(self._channel)  # type: ignore[no-untyped-call]
            self._pubsub.get_message(timeout=SOCKET_TIMEOUT)  # once subscribed, nothing is missed
        except (redis.RedisError, OSError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        log.info("events.redis_away", error=type(error).__name__)
        if self._pubsub is not None:
            self._pubsub.close()
        self._pubsub = None
        self._deaf_until = time.monotonic() + PAUSE
