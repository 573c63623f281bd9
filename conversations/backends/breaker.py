"""A circuit breaker: a store that failed three times costs callers nothing for the next seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from conversations.backends.values import IndexMissing, StoreUnavailable


class CircuitBreaker:
    """Closed, it lets calls through; open, it refuses them; after the cooldown one call at a time probes."""

    def __init__(
        self,
        store: str,
        *,
        failures: int = 3,
        cooldown: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._limit = failures
        self._cooldown = cooldown
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._probe_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are refused now."""
        with self._lock:
            return self._probe_at is not None and self._clock() < self._probe_at

    def reset(self) -> None:
        """Close it: the store is known to be back."""
        self._record_answer()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run one call; only `StoreUnavailable` is a failure, any other error means the store answered."""
        self._admit()
        try:
            yield
        except IndexMissing:
            self._record_answer()
            raise
        except StoreUnavailable:
            self._record_failure()
            raise
        except Exception:
            self._record_answer()
            raise
        self._record_answer()

    def _admit(self) -> None:
        with self._lock:
            if self._probe_at is None:
                return
            if self._clock() < self._probe_at:
                raise StoreUnavailable(self.store, "circuit open")
            # This call is the probe. Moving the date on keeps everybody else out until it has an answer,
            # and lets the next one probe should this thread die without giving one.
            self._probe_at = self._clock() + self._cooldown

    def _record_failure(self) -> None:
        with self._lock:
            self._failed += 1
            if self._failed >= self._limit:
                self._probe_at = self._clock() + self._cooldown

    def _record_answer(self) -> None:
        with self._lock:
            self._failed = 0
            self._probe_at = None
