"""Figures that may be a minute old: what they cost grows with what there is, and their pages are looked at often."""

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
    """What was read, and when: the page says so."""

    value: T
    at: datetime


def read_cached(name: str, tenant_id: UUID, read: Callable[[], T]) -> Cached[T]:
    """The tenant's figures of that name, read again after a minute. Counts only: nothing personal is kept here."""
    key = f"figures:{tenant_id}:{name}"
    known: Cached[T] | None = cache.get(key)
    if known is None:
        known = Cached(read(), ids.now())
        cache.set(key, known, LIFETIME)
    return known
