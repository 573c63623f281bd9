"""The drain: claims events, reads the rows as they are now, sends them, checks every item, deletes what is done.

No transaction is open during a network call. Sinks are drained in parallel, each by one drain at a time.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, connections

from conversations.backends.values import Outcome, StoreUnavailable
from conversations.enums import Sink
from conversations.indexing.batches import Due
from conversations.mirror import claims, rates
from conversations.mirror.claims import Claim, Event, Setback
from conversations.mirror.sinks import WRITERS, Failure
from conversations.mirror.writers import only_writer

log = structlog.get_logger(__name__)

BATCH = 1_000
STALLED = 90.0  # seconds without progress after which waiting is given up
PAUSE = 0.2

_DUE_SINKS = """
    SELECT s.id FROM conversations_mirrorsink s
    WHERE s.enabled AND EXISTS (
        SELECT FROM conversations_mirrorevent e
        WHERE e.sink = s.id AND e.parked_at IS NULL AND e.next_at <= clock_timestamp()
          AND (e.leased_until IS NULL OR e.leased_until < clock_timestamp()))
    ORDER BY s.id
"""


@dataclass(frozen=True, slots=True)
class Drained:
    """What one pass did: events followed, events set back."""

    done: int = 0
    set_back: int = 0

    def __add__(self, other: "Drained") -> "Drained":
        return Drained(self.done + other.done, self.set_back + other.set_back)


def drain(*, seconds: float = 20.0, threads: Executor | None = None) -> Drained:
    """Drain every sink that is switched on, in parallel, for at most about `seconds`.

    `threads` are the caller's own, who keeps them and their connections for the next time.
    """
    due = due_sinks()
    if threads is not None:
        return sum(
            threads.map(partial(_drain_in_thread, seconds=seconds, leave=close_old_connections), due),
            Drained(),
        )
    if len(due) < 2:
        return sum((drain_sink(sink, seconds=seconds) for sink in due), Drained())
    with ThreadPoolExecutor(len(due), thread_name_prefix="drain") as pool:
        return sum(
            pool.map(partial(_drain_in_thread, seconds=seconds, leave=connections.close_all), due), Drained()
        )


def due_sinks() -> list[Sink]:
    """The sinks that have something to do now."""
    with connections["ops"].cursor() as cursor:
        cursor.execute(_DUE_SINKS)
        return [Sink(sink) for (sink,) in cursor.fetchall()]


def drain_sink(sink: Sink, *, seconds: float = 20.0) -> Drained:
    """As `drain`, for one sink; nothing if another drain is at work on it."""
    total = Drained()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with only_writer(sink) as alone:
            claimed = claims.claim(sink, BATCH) if alone else None
            if claimed is None or not claimed.events:
                return total
            passed = _follow(claimed)
        total += passed
        if not passed.done:
            return total
    return total


def drain_while(pending: Callable[[], bool], sink: Sink) -> None:
    """Drain until nothing is pending, together with other workers; give up when nothing progresses."""
    deadline = time.monotonic() + STALLED
    while pending() and time.monotonic() < deadline:
        if drain_sink(sink).done:
            deadline = time.monotonic() + STALLED
        else:
            time.sleep(PAUSE)


def _drain_in_thread(sink: Sink, seconds: float, leave: Callable[[], None]) -> Drained:
    try:
        return drain_sink(sink, seconds=seconds)
    finally:
        leave()


def _follow(claimed: Claim) -> Drained:
    due = _coalesced(claimed.events)
    try:
        failures = _write(claimed.sink, list(due))
    except StoreUnavailable as error:
        log.warning("mirror.store_unavailable", sink=claimed.sink.name, reason=error.reason)
        claims.set_back(claimed, [Setback(e, error.reason, Outcome.UNANSWERED) for e in claimed.events])
        return Drained(set_back=len(claimed.events))
    setbacks = [
        Setback(event, failure.error, failure.outcome)
        for one, failure in failures.items()
        for event in due[one]
    ]
    claims.set_back(claimed, setbacks)
    behind = {setback.event.id for setback in setbacks}
    done = [event for event in claimed.events if event.id not in behind]
    claims.acknowledge(claimed, done)
    rates.count_followed(done)
    if setbacks:
        log.warning(
            "mirror.items_set_back", sink=claimed.sink.name, count=len(setbacks), error=setbacks[0].error
        )
    return Drained(len(done), len(setbacks))


def _write(sink: Sink, due: Sequence[Due]) -> Mapping[Due, Failure]:
    """Write these rows to the store. A row that breaks the batch is found by bisection, and fails alone."""
    try:
        return WRITERS[sink].write(due)
    except (StoreUnavailable, OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001  (whatever one row fails with must not hold up the others)
        if len(due) == 1:
            reason = type(error).__name__  # its message may quote the row
            log.warning("mirror.row_unreadable", sink=sink.name, entity=due[0].entity, error=reason)
            return {due[0]: Failure(reason, Outcome.REJECTED)}
    middle = len(due) // 2
    return {**_write(sink, due[:middle]), **_write(sink, due[middle:])}


def _coalesced(events: Sequence[Event]) -> dict[Due, list[Event]]:
    """Events by row: many changes of a row are handled with one read of it."""
    groups: dict[tuple[int, object], list[Event]] = {}
    for event in events:
        groups.setdefault((event.entity, event.entity_id), []).append(event)
    return {
        Due(
            group[0].entity, group[0].entity_id, group[0].tenant_id, max(e.entity_version for e in group)
        ): group
        for group in groups.values()
    }
