"""Requests per key: `THROTTLE_RATE` in any window of that length.

`limits` keeps the windows, in Redis when there is one, so that all processes share them. Asking Redis for
every request would cost as much as half an append, so a process takes a small part of the window at once (a
lease: one twentieth of the rate, at most fifty) and spends it by itself. A rate below forty is thus counted
one by one and exactly; above, one lease a process is the error, to either side. A refusal is remembered
until the window opens, so refused requests cost nothing. While Redis is away each process counts alone.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import structlog
from django.conf import settings
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from conversations.exceptions import Throttled
from conversations.principals import Principal

log = structlog.get_logger(__name__)

LEASES = 20  # parts of a window
LARGEST_LEASE = 50
SUBJECTS = 10_000  # remembered by a process before old leases are swept
REDIS_TIMEOUT = 0.05  # seconds, to connect and again to answer
REDIS_PAUSE = 5.0  # seconds without asking a Redis that did not answer

_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


def throttle(principal: Principal) -> None:
    """Count one request of this key; Throttled when its window is full."""
    shared_limit().spend(f"key:{principal.key_id}", settings.THROTTLE_RATE)


def throttle_failure(address: str) -> None:
    """Count one request without a valid key; Throttled when too many came from there."""
    shared_limit().spend(f"address:{address}", settings.THROTTLE_RATE)


class KeyThrottle(BaseThrottle):
    """The same count, for DRF."""

    def allow_request(self, request: Request, view: Any) -> bool:
        throttle(cast(Principal, request.auth))
        return True


@dataclass(slots=True)
class Lease:
    """How many requests a process may still let through by itself, or until when it refuses them (monotonic)."""

    left: int
    until: float
    refused: bool = False


class SharedLimit:
    """Windows per subject, spent by lease. Threads may share it."""

    def __init__(self, shared: Storage | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = MovingWindowRateLimiter(shared) if shared else None
        self._local = MovingWindowRateLimiter(MemoryStorage())
        self._paused_until = -math.inf
        self._leases: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._clock = clock

    def spend(self, subject: str, rate: str) -> None:
        """One request of `subject`. Throttled says in how many seconds there is room again."""
        now = self._clock()
        with self._lock:
            lease = self._leases.get(subject)
            if lease is not None and now < lease.until:
                if lease.refused:
                    raise Throttled(math.ceil(lease.until - now))
                if lease.left:
                    lease.left -= 1
                    return
        taken = self._take(subject, parse_rate(rate), now)
        self._remember(subject, taken, now)
        if taken.refused:
            raise Throttled(math.ceil(taken.until - now))

    def _take(self, subject: str, rate: RateLimitItem, now: float) -> Lease:
        for limiter in self._limiters(now):
            try:
                return _lease(limiter, rate, subject, now)
            except StorageError:
                self._paused_until = now + REDIS_PAUSE
                log.warning("throttle.redis_away", pause_seconds=REDIS_PAUSE)
        raise AssertionError("the local window always answers")

    def _limiters(self, now: float) -> Iterator[MovingWindowRateLimiter]:
        if self._shared is not None and now >= self._paused_until:
            yield self._shared
        yield self._local

    def _remember(self, subject: str, taken: Lease, now: float) -> None:
        with self._lock:
            if len(self._leases) >= SUBJECTS:
                self._leases = {s: lease for s, lease in self._leases.items() if lease.until > now}
            held = self._leases.get(subject)
            if held is not None and held.until > now and not (held.refused or taken.refused):
                taken = Lease(held.left + taken.left, taken.until)  # another thread took one meanwhile
            self._leases[subject] = taken


def _lease(limiter: MovingWindowRateLimiter, rate: RateLimitItem, subject: str, now: float) -> Lease:
    """The largest part of the window that is free, with this request's own already spent."""
    largest = max(1, min(rate.amount // LEASES, LARGEST_LEASE))
    for cost in sorted({largest, 1}, reverse=True):
        if limiter.hit(rate, subject, cost=cost):
            return Lease(cost - 1, now + rate.get_expiry())
    opens_in = limiter.get_window_stats(rate, subject).reset_time - time.time()
    return Lease(0, now + max(0.0, opens_in), refused=True)


@lru_cache(maxsize=8)
def parse_rate(rate: str) -> RateLimitItem:
    """`1000/s`, `60/m`, `500/h`, `10000/d`."""
    amount, _, unit = rate.partition("/")
    return parse(f"{amount}/{_UNITS.get(unit.strip(), unit)}")


def shared_limit() -> SharedLimit:
    """The limit of this process."""
    return _limit_over(settings.REDIS_URL)


@lru_cache(maxsize=1)
def _limit_over(redis_url: str) -> SharedLimit:
    if not redis_url:
        return SharedLimit(None)
    # The client's own retries would turn an absent Redis into seconds of waiting.
    options: dict[str, Any] = {
        "socket_connect_timeout": REDIS_TIMEOUT,
        "socket_timeout": REDIS_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
    }
    url = redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url
    return SharedLimit(cast(Storage, storage_from_string(url, wrap_exceptions=True, **options)))
