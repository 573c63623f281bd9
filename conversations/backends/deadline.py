"""A hard deadline for a whole call: client libraries only bound single reads and retries."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from conversations.backends.values import StoreUnavailable

Answer = TypeVar("Answer")

# More calls than this hang only until the breaker has counted its failures; those behind them time out too.
_THREADS = 32


def _new_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="store")


_pool = _new_pool()


def _renew_pool() -> None:
    # Threads do not survive a fork, but the executor that counts on them does.
    global _pool
    _pool = _new_pool()


os.register_at_fork(after_in_child=_renew_pool)


def within(seconds: float, store: str, call: Callable[[], Answer]) -> Answer:
    """The call's answer, or `StoreUnavailable` after so many seconds.

    A call that is left behind ends by its client's own timeout.
    """
    future: Future[Answer] = _pool.submit(call)
    try:
        return future.result(timeout=seconds)
    except FutureTimeout as error:
        if future.done():  # The call's own TimeoutError, which is the same class.
            raise
        future.cancel()
        raise StoreUnavailable(store, f"no answer within {seconds:g} s") from error
