"""The window in Redis: one list per session, values sealed by the caller, anything doubtful a miss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from conversations.backends.breaker import CircuitBreaker
from conversations.backends.values import Pushes, StoreUnavailable, WindowEntry, WindowKey

HOUR = 3600
SOCKET_TIMEOUT = 0.1


class StoredEntry(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One list element. It names its owner, so an answer meant for another request is noticed, and the
    positions (after, upto] that it covers, so a lost or reordered push breaks the chain."""

    tenant_id: UUID
    session_id: UUID
    epoch: int
    after: int
    upto: int
    position: int
    sealed: bytes


_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_decode = msgspec.msgpack.Decoder(StoredEntry).decode


def pushed(key: WindowKey, epoch: int, entries: Sequence[WindowEntry]) -> list[bytes]:
    """Elements for messages that follow each other without a gap."""
    return [
        _encode(
            StoredEntry(
                key.tenant_id, key.session_id, epoch, e.position - 1, e.position, e.position, e.sealed
            )
        )
        for e in entries
    ]


def refilled(
    key: WindowKey, epoch: int, head: int, entries: Sequence[WindowEntry], *, complete: bool
) -> list[bytes]:
    """Elements that cover everything up to `head`, over the gaps that hidden messages left."""
    if not entries:
        return []
    reach = [entry.position for entry in entries[:-1]] + [head]
    start = [0 if complete else entries[0].position - 1, *reach[:-1]]
    return [
        _encode(StoredEntry(key.tenant_id, key.session_id, epoch, after, upto, entry.position, entry.sealed))
        for entry, after, upto in zip(entries, start, reach, strict=True)
    ]


def unbroken(
    raw: Sequence[bytes], key: WindowKey, epoch: int, head: int, limit: int
) -> tuple[WindowEntry, ...] | None:
    """The last `limit` messages if the elements prove to be exactly those; None otherwise."""
    try:
        stored = [_decode(value) for value in raw]
    except msgspec.DecodeError:
        return None
    if any((s.tenant_id, s.session_id) != (key.tenant_id, key.session_id) for s in stored):
        return None
    # Two appends may push in the other order than they committed.
    newest_first = sorted((s for s in stored if s.epoch == epoch), key=lambda s: s.upto, reverse=True)
    chain: list[StoredEntry] = []
    expected = head
    for entry in newest_first:
        if entry.upto != expected:
            break
        chain.append(entry)
        expected = entry.after
        if len(chain) == limit or expected == 0:
            return tuple(WindowEntry(s.position, s.sealed) for s in reversed(chain))
    return None


class RedisWindow:
    """`WindowStore` on Redis; holds at most `size` messages a session, `ttl` seconds after the last touch."""

    name = "redis"

    def __init__(
        self,
        url: str,
        *,
        size: int = 20,
        ttl: int = HOUR,
        timeout: float = SOCKET_TIMEOUT,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self.size = size
        self._ttl = ttl
        self.breaker = breaker or CircuitBreaker(self.name)
        self._timeout = timeout
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # A retry would double what a hanging Redis costs; the rest of the handshake would add round trips.
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )

    def push(self, pushes: Pushes) -> None:
        """Add messages just committed, and wake who listens to their sessions; in one exchange."""
        with self._call() as client, client.pipeline(transaction=False) as pipe:
            for (key, epoch), entries in pushes.items():
                self._append(pipe, list_name(key), pushed(key, epoch, entries[-self.size :]))
                pipe.publish(channel_name(key), b"")
            answers = pipe.execute(raise_on_error=False)
        each = len(answers) // len(pushes)
        for number, (key, _) in enumerate(pushes):
            self._forget_refused(key, answers[number * each : (number + 1) * each])

    def read(self, key: WindowKey, epoch: int, head: int, limit: int) -> tuple[WindowEntry, ...] | None:
        """The last `limit` messages, oldest first (fewer only if the session has no more); None is a miss."""
        name = list_name(key)
        with self._call() as client, client.pipeline(transaction=False) as pipe:
            pipe.lrange(name, -self.size, -1)
            pipe.expire(name, self._ttl)
            raw = pipe.execute(raise_on_error=False)[0]
        if isinstance(raw, redis.ResponseError) or not raw:
            return None
        return unbroken(raw, key, epoch, head, limit)

    def refill(
        self, key: WindowKey, epoch: int, head: int, entries: Sequence[WindowEntry], *, complete: bool
    ) -> None:
        """Replace the window by these, oldest first; `complete` when the session has none before them."""
        kept = entries[-self.size :]
        complete = complete and len(kept) == len(entries)
        name, values = list_name(key), refilled(key, epoch, head, kept, complete=complete)
        with self._call() as client, client.pipeline(transaction=True) as pipe:
            pipe.delete(name)
            if values:
                self._append(pipe, name, values)
            answers = pipe.execute(raise_on_error=False)
        self._forget_refused(key, answers)

    def forget(self, key: WindowKey) -> None:
        """Drop the window, and wake who listens to the session."""
        with self._call() as client, client.pipeline(transaction=False) as pipe:
            pipe.delete(list_name(key))
            pipe.publish(channel_name(key), b"")
            pipe.execute()

    def wake(self, key: WindowKey) -> None:
        """Wake who listens to the session."""
        with self._call() as client:
            client.publish(channel_name(key), b"")

    def present(self, keys: Sequence[WindowKey]) -> set[WindowKey]:
        """Those of the sessions that have a window."""
        with self._call() as client, client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.exists(list_name(key))
            return {key for key, found in zip(keys, pipe.execute(), strict=True) if found}

    def keys(self, tenant_id: UUID | None = None) -> Iterator[WindowKey]:
        """Every session that has a window."""
        pattern = f"t:{tenant_id or '*'}:w:*"
        cursor = 0
        while True:
            with self._call() as client:
                cursor, names = cast("tuple[int, list[bytes]]", client.scan(cursor, match=pattern, count=500))
            for name in names:
                _, tenant, _, session = name.decode().split(":")
                yield WindowKey(UUID(tenant), UUID(session))
            if cursor == 0:
                return

    def ping(self) -> None:
        """Return when Redis answers; else raise `StoreUnavailable`."""
        with self._call() as client:
            client.ping()

    def _append(self, pipe: redis.client.Pipeline, name: str, values: Sequence[bytes]) -> None:
        pipe.rpush(name, *values)
        pipe.ltrim(name, -self.size, -1)
        pipe.expire(name, self._ttl)

    def _forget_refused(self, key: WindowKey, answers: Sequence[Any]) -> None:
        """A key of another type, or no memory left: without a window PostgreSQL answers."""
        if any(isinstance(answer, redis.ResponseError) for answer in answers):
            self.forget(key)

    @contextmanager
    def _call(self) -> Iterator[redis.Redis]:
        with self.breaker.guard():
            try:
                yield self._redis
            except redis.TimeoutError as error:
                raise StoreUnavailable(self.name, f"no answer within {self._timeout:g} s") from error
            except (redis.ConnectionError, redis.ResponseError, OSError) as error:
                raise StoreUnavailable(self.name, type(error).__name__) from error


def list_name(key: WindowKey) -> str:
    """The Redis key of a window."""
    return f"t:{key.tenant_id}:w:{key.session_id}"


def channel_name(key: WindowKey) -> str:
    """The Redis channel of a session; a message on it only says that there is something to read."""
    return f"t:{key.tenant_id}:s:{key.session_id}"
