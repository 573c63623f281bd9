"""One writer for each store at a time, because Milvus compares no versions and the others gain nothing by more.

An advisory lock, which ends with its connection when a worker dies. Of one that merely stands still (a paused machine)
the connection stays; when it has been silent for longer than any batch takes, it is closed and its lock with it. What
the worker had claimed is claimed again, and if it wakes, its acknowledgements match no lease.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import connections, transaction

from conversations.backends.values import StoreUnavailable
from conversations.enums import Sink

log = structlog.get_logger(__name__)

LOCK_SPACE = 0x4D49  # the first key of our advisory locks; the second is the sink
# Seconds without a statement, while every batch makes some and no store is waited for longer than ten.
SILENCE = 40
PAUSE = 0.05

_TRY = "SELECT pg_try_advisory_lock(%s, %s)"
_UNLOCK = "SELECT pg_advisory_unlock(%s, %s)"
_CLOSE_SILENT = """
    SELECT count(pg_terminate_backend(a.pid)) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s AND l.objsubid = 2
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND a.state = 'idle' AND a.state_change < clock_timestamp() - make_interval(secs => %s)
"""


@contextmanager
def only_writer(sink: Sink) -> Iterator[bool]:
    """Whether this process may write to the store inside the block."""
    locked = _lock(sink) or (_close_silent(sink) and _lock(sink))
    try:
        yield locked
    finally:
        if locked:
            with connections["ops"].cursor() as cursor:
                cursor.execute(_UNLOCK, [LOCK_SPACE, sink])


@contextmanager
def waiting_writer(sink: Sink) -> Iterator[None]:
    """Write to the store alone inside the block; StoreUnavailable when another writer does not let go in time."""
    deadline = time.monotonic() + 2 * SILENCE
    while time.monotonic() < deadline:
        with only_writer(sink) as alone:
            if alone:
                yield
                return
        time.sleep(PAUSE)
    raise StoreUnavailable(str(sink.label).lower(), "another writer does not end")


def _lock(sink: Sink) -> bool:
    with connections["ops"].cursor() as cursor:
        cursor.execute(_TRY, [LOCK_SPACE, sink])
        (locked,) = cursor.fetchone()
    return bool(locked)


def _close_silent(sink: Sink) -> bool:
    """Close a connection that holds the lock but has gone silent; returns whether there was one."""
    with transaction.atomic(using="ops"), connections["ops"].cursor() as cursor:
        # The login's own sessions: a role that was assumed may neither see nor close them.
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute(_CLOSE_SILENT, [LOCK_SPACE, sink, SILENCE])
        (closed,) = cursor.fetchone()
    if closed:
        log.warning("mirror.silent_writer_closed", sink=sink.name)
        time.sleep(PAUSE)
    return bool(closed)
