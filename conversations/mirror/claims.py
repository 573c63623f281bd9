"""Claiming outbox events under a lease, so that a worker that dies or hangs costs nothing but time."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import connections

from conversations.backends.values import Outcome
from conversations.enums import Reason, Sink

LEASE = 30  # seconds, far above the ten that a store may take for one bulk
ATTEMPTS = 5  # refusals of one item before it is parked
LONGEST_PAUSE = 300  # seconds
LONGEST_PAUSE_OF_DELETIONS = 60  # somebody is waiting for the removal
PATIENCE_OF_NUMBERS = 9  # 2 ** 9 seconds is beyond the longest pause

_DUE = """
    SELECT id FROM conversations_mirrorevent
    WHERE sink = %(sink)s AND parked_at IS NULL AND next_at <= clock_timestamp()
      AND (leased_until IS NULL OR leased_until < clock_timestamp())
    ORDER BY next_at {order}, id {order} LIMIT %(half)s FOR UPDATE SKIP LOCKED
"""
# Half from either end: new messages do not wait behind the backlog of a rebuild, nor does the backlog wait for ever.
_CLAIM = f"""
    WITH oldest AS ({_DUE.format(order="ASC")}), newest AS ({_DUE.format(order="DESC")})
    UPDATE conversations_mirrorevent
    SET lease = %(lease)s, leased_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE id IN (SELECT id FROM oldest UNION SELECT id FROM newest)
    RETURNING id, tenant_id, entity, entity_id, entity_version, reason, attempts
"""
# A store that takes something is there: what it had not answered need not wait any longer. So many at a time, because
# after a long outage each of them is a row to be written.
_ACKNOWLEDGE = """
    WITH waiting AS (
        SELECT id FROM conversations_mirrorevent
        WHERE sink = %(sink)s AND parked_at IS NULL AND next_at > statement_timestamp() AND unanswered
        ORDER BY next_at, id LIMIT 10000 FOR UPDATE SKIP LOCKED
    ), due AS (
        UPDATE conversations_mirrorevent e SET next_at = statement_timestamp() FROM waiting WHERE e.id = waiting.id
    )
    DELETE FROM conversations_mirrorevent e
    USING unnest(%(tenants)s::uuid[], %(entities)s::smallint[], %(ids)s::uuid[]) AS u (tenant_id, entity, id)
    WHERE e.tenant_id = u.tenant_id AND e.entity_id = u.id AND e.sink = %(sink)s AND e.entity = u.entity
      AND (e.lease = %(lease)s OR e.parked_at IS NOT NULL)
"""
_DELAY = """
    UPDATE conversations_mirrorevent e
    SET lease = NULL, leased_until = NULL, attempts = u.attempts, last_error = u.error, unanswered = u.unanswered,
        next_at = clock_timestamp() + make_interval(secs => u.pause),
        parked_at = CASE WHEN u.parked THEN clock_timestamp() END
    FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::float8[], %s::boolean[], %s::boolean[])
        AS u (id, attempts, error, pause, unanswered, parked)
    WHERE e.id = u.id AND e.lease = %s
"""


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    tenant_id: UUID
    entity: int
    entity_id: UUID
    entity_version: int
    reason: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Events that are this worker's until the lease ends (by the database's clock)."""

    sink: Sink
    lease: UUID
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Setback:
    """Why an event has to be tried again."""

    event: Event
    error: str
    outcome: Outcome


def claim(sink: Sink, limit: int) -> Claim:
    """Due events of a sink that nobody else holds, the oldest and the newest."""
    lease = uuid4()
    values: dict[str, Any] = {"sink": sink, "half": (limit + 1) // 2, "lease": lease, "seconds": LEASE}
    with connections["ops"].cursor() as cursor:
        cursor.execute(_CLAIM, values)
        return Claim(sink, lease, tuple(Event(*row) for row in sorted(cursor.fetchall())))


def acknowledge(claimed: Claim, events: Collection[Event]) -> None:
    """Forget events of rows that the store has followed, unless the lease was lost meanwhile.

    With them go those of the same rows that had been parked: whatever was refused then has been taken now. And what
    the store had not answered is due at once.
    """
    if not events:
        return
    rows = {(event.tenant_id, event.entity, event.entity_id) for event in events}
    tenants, entities, ids = (list(column) for column in zip(*rows, strict=True))
    with connections["ops"].cursor() as cursor:
        cursor.execute(
            _ACKNOWLEDGE,
            {
                "sink": claimed.sink,
                "lease": claimed.lease,
                "tenants": tenants,
                "entities": entities,
                "ids": ids,
            },
        )


def set_back(claimed: Claim, setbacks: Sequence[Setback]) -> None:
    """Try these again later, or park what the store refused too often."""
    if not setbacks:
        return
    rows = [_delayed(setback) for setback in setbacks]
    with connections["ops"].cursor() as cursor:
        cursor.execute(_DELAY, [*(list(column) for column in zip(*rows, strict=True)), claimed.lease])


def pause_before(attempt: int, reason: int) -> float:
    """Seconds until the next attempt: doubling, capped, with jitter so that retries do not march in step."""
    urgent = reason in (Reason.PURGE, Reason.ERASURE)
    longest = LONGEST_PAUSE_OF_DELETIONS if urgent else LONGEST_PAUSE
    return min(2.0 ** min(attempt, PATIENCE_OF_NUMBERS), longest) * random.uniform(0.5, 1.0)  # noqa: S311


def _delayed(setback: Setback) -> tuple[int, int, str, float, bool, bool]:
    attempts = min(setback.event.attempts + 1, 30_000)
    return (
        setback.event.id,
        attempts,
        setback.error[:300],
        pause_before(attempts, setback.event.reason),
        setback.outcome is Outcome.UNANSWERED,
        setback.outcome is Outcome.REJECTED and attempts >= ATTEMPTS,
    )
