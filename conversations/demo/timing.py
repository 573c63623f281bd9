"""When the demo's sessions took place: most in the live 80 days, a third already past the message period."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

TODAY = (0.06, 0.05, 0.9)
RECENT = (0.56, 1.0, 80.0)
ON_THE_EDGE = (0.05, 81.0, 89.0)
EXPIRED = (0.33, 92.0, 150.0)
OLDEST = timedelta(days=EXPIRED[2])


def ages(count: int, rng: random.Random) -> list[float]:
    """`count` ages in days, oldest first, spread evenly within each band."""
    spread: list[float] = []
    for share, youngest, oldest in (TODAY, RECENT, ON_THE_EDGE):
        spread += _within(round(count * share), youngest, oldest, rng)
    spread += _within(count - len(spread), *EXPIRED[1:], rng)
    return sorted(spread, reverse=True)


def _within(count: int, youngest: float, oldest: float, rng: random.Random) -> list[float]:
    step = (oldest - youngest) / max(count, 1)
    return [youngest + (index + rng.random()) * step for index in range(count)]


def start_of(
    age: float, now: datetime, local_hours: Sequence[int], utc_offset: int, rng: random.Random
) -> datetime:
    """A moment about `age` days ago, at one of the given hours; the last day keeps its age exactly."""
    moment = now - timedelta(days=age)
    if age < 1:
        return moment
    return moment.replace(
        hour=(rng.choice(local_hours) - utc_offset) % 24,
        minute=rng.randrange(60),
        second=rng.randrange(60),
        microsecond=rng.randrange(10**6),
    )
