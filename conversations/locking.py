"""PostgreSQL's locks: work that only one process may do, and work that meets the locks of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from uuid import UUID

import psycopg
import structlog
from django.db import OperationalError, connections
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random

log = structlog.get_logger(__name__)

ATTEMPTS = 5
PAUSE_S = 0.2

# Below PostgreSQL's `deadlock_timeout` of a second: work that takes widely needed locks is the one to give way.
BRIEFLY = "800ms"


def lock_number(purpose: str, *of: UUID | str) -> int:
    """The key of an advisory lock: 64 bits of what it is for and of whose it is."""
    digest = blake2b("\0".join([purpose, *map(str, of)]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


@contextmanager
def only_one(purpose: str, *of: UUID | str) -> Iterator[bool]:
    """Whether no other process is at this work; the lock dies with its connection."""
    number = lock_number(purpose, *of)
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        (alone,) = cursor.fetchone()
    try:
        yield alone
    finally:
        if alone:
            with connections["ops"].cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


def _met_a_lock(error: BaseException) -> bool:
    return isinstance(error, OperationalError) and isinstance(
        error.__cause__, psycopg.errors.DeadlockDetected | psycopg.errors.LockNotAvailable
    )


def _tell(state: RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    log.info(
        "lock.retried",
        work=getattr(state.fn, "__name__", None),
        error=type(error and error.__cause__).__name__,
    )


# Retries the work, which must be a transaction; raises the error of the last attempt.
retry_locked = Retrying(
    retry=retry_if_exception(_met_a_lock),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_random(0, PAUSE_S),
    before_sleep=_tell,
    reraise=True,
)
# The same for work that can wait for its next run: None when the locks could not be taken.
try_locked = retry_locked.copy(retry_error_callback=lambda _: None)
