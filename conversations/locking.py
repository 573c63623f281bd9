"""Waiting for PostgreSQL's locks: briefly, because others then wait behind; rolled back whole, and tried again."""

import psycopg
import structlog
from django.db import OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random

log = structlog.get_logger(__name__)

ATTEMPTS = 5
PAUSE_S = 0.2

# Below PostgreSQL's `deadlock_timeout` of a second: who takes locks that many others need is the one to give way.
BRIEFLY = "800ms"


def met_a_lock(error: BaseException) -> bool:
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


# Call it with the work, which must be a transaction; the last attempt's error is raised.
retry_locked = Retrying(
    retry=retry_if_exception(met_a_lock),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_random(0, PAUSE_S),
    before_sleep=_tell,
    reraise=True,
)
