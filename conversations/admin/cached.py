"""Figures cached for a minute: their cost grows with the data, and their pages are opened often."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from django.core.cache import cache

from conversations import ids

LIFETIME = 60  # seconds

T = TypeVar("T")


@dataclass(frozen=True)
class Cached(Generic[T]):
    """A value, and when it was read, which the page shows."""

    value: T
    at: datetime


def read_cached(name: str, tenant_id: UUID, read: Callable[[], T]) -> Cached[T]:
    """The tenant's figures of that name, at most a minute old. Counts only: nothing personal goes into the cache."""
    key = f"figures:{tenant_id}:{name}"
    known: Cached[T] | None = cache.get(key)
    if known is None:
        known = Cached(read(), ids.now())
        cache.set(key, known, LIFETIME)
    return known
