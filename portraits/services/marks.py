"""Marks for pending work on portraits: made in the transaction of the change, taken under a lease."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import connections

from portraits.enums import Work

LEASE = 120  # seconds: far above what a language model may take
LONGEST_PAUSE = 300  # seconds between attempts

_MARK = """
    INSERT INTO portraits_refreshmark AS old (tenant_id, customer_id, work, next_at)
    VALUES (%s, %s, %s, now() + make_interval(secs => %s)) ON CONFLICT (tenant_id, customer_id, work)
    DO UPDATE SET marks = old.marks + 1, next_at = least(old.next_at, EXCLUDED.next_at), attempts = 0
"""
_TAKE = """
    UPDATE portraits_refreshmark SET lease = %(lease)s,
        leased_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE id IN (
        SELECT id FROM portraits_refreshmark
        WHERE work = %(work)s AND next_at <= clock_timestamp()
          AND (leased_until IS NULL OR leased_until < clock_timestamp())
        ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING id, tenant_id, customer_id, marks, attempts, lease
"""
_FINISH = """
    WITH done AS (DELETE FROM portraits_refreshmark WHERE id = %(id)s AND lease = %(lease)s AND marks = %(marks)s)
    UPDATE portraits_refreshmark SET lease = NULL, leased_until = NULL
    WHERE id = %(id)s AND lease = %(lease)s AND marks <> %(marks)s
"""
_PUT_OFF = """
    UPDATE portraits_refreshmark SET lease = NULL, leased_until = NULL, attempts = attempts + 1, last_error = %(error)s,
        next_at = clock_timestamp() + make_interval(secs => %(pause)s)
    WHERE id = %(id)s AND lease = %(lease)s
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A customer whose portrait is ours to bring level until the lease ends."""

    id: int
    tenant_id: UUID
    customer_id: UUID
    marks: int
    attempts: int
    lease: UUID


def mark(tenant_id: UUID, customer_id: UUID, work: Work = Work.LEARN, *, after: float = 0) -> None:
    """Ask for it, in the open transaction; due `after` seconds from now, or when it was due already."""
    with connections["default"].cursor() as cursor:
        cursor.execute(_MARK, [tenant_id, customer_id, work.value, after])


def take_marks(work: Work, limit: int) -> Sequence[Mark]:
    """What is due, oldest first; others do not get it while our lease lasts."""
    lease = uuid4()
    values: dict[str, Any] = {"lease": lease, "seconds": LEASE, "work": work.value, "limit": limit}
    with connections["ops"].cursor() as cursor:
        cursor.execute(_TAKE, values)
        return [Mark(*row) for row in cursor.fetchall()]


def finish(taken: Mark) -> None:
    """Done, unless it was asked for again meanwhile: then it is due once more."""
    with connections["ops"].cursor() as cursor:
        cursor.execute(_FINISH, {"id": taken.id, "lease": taken.lease, "marks": taken.marks})


def put_off(taken: Mark, error: BaseException) -> None:
    """Try again later, after a pause that doubles each time."""
    pause = min(2.0**taken.attempts, LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311  (jitter)
    values: dict[str, Any] = {
        "id": taken.id,
        "lease": taken.lease,
        "error": type(error).__name__[:100],
        "pause": pause,
    }
    with connections["ops"].cursor() as cursor:
        cursor.execute(_PUT_OFF, values)
