"""How fast the mirrors follow: counts of the last minute, kept in the cache only."""

import time
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from django.core.cache import cache

from conversations.mirror.claims import Event

SLICE = 5  # seconds
MINUTE = 60


def count_followed(events: Iterable[Event]) -> None:
    """Remember how many events of each tenant were acknowledged now. Without a cache nothing is remembered."""
    at = _slice_of(time.time())
    for tenant_id, count in Counter(event.tenant_id for event in events).items():
        key = _key(tenant_id, at)
        cache.add(key, 0, timeout=2 * MINUTE)
        try:
            cache.incr(key, count)
        except ValueError:  # no cache, or the key has just gone
            return


def followed_per_second(tenant_id: UUID) -> float:
    """Events of the tenant that stores acknowledged, a second, over the last minute."""
    now = _slice_of(time.time())
    counts = cache.get_many([_key(tenant_id, now - back) for back in range(MINUTE // SLICE)])
    return round(float(sum(counts.values())) / MINUTE, 2)


def _slice_of(moment: float) -> int:
    return int(moment) // SLICE


def _key(tenant_id: UUID, at: int) -> str:
    return f"mirror-rate:{tenant_id}:{at}"
