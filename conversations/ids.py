"""UUIDv7 identifiers that carry the moment of their row (RFC 9562, section 5.7, sub-millisecond method 3)."""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

VERSION = 7
_VERSION_AND_VARIANT = (VERSION << 76) | (0b10 << 62)
_RANDOM_BITS = 62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MILLISECOND - 1  # the next midnight can be named


def now() -> datetime:
    """The server's clock in UTC, microseconds kept. Take it once and make both `created_at` and the id from it."""
    return datetime.now(UTC)


def new_ids(at: datetime, count: int) -> list[UUID]:
    """`count` ids of that moment in ascending order: the rows of one append keep their order by id alone."""
    random = (
        int.from_bytes(os.urandom(8)) >> 3
    )  # one bit of head-room, so that a batch cannot overflow 62 bits
    base = _moment(at) | _VERSION_AND_VARIANT
    return [UUID(int=base | ((random + i) & ((1 << _RANDOM_BITS) - 1))) for i in range(count)]


def new_id(at: datetime | None = None) -> UUID:
    return new_ids(at or now(), 1)[0]


def floor_id(at: datetime) -> UUID:
    """The lowest id of that moment's millisecond: the bound that prunes partitions and ranges.

    Before 1970 there are no ids, so the bound of any earlier moment is the lowest of all.
    """
    return UUID(int=max(0, _milliseconds(at)) << 80)


def moment_of(identifier: UUID) -> datetime:
    """When the row of this id was made, to the millisecond.

    Of an id that is no UUIDv7, or the bound of a range, the last moment that can be named.
    """
    return _EPOCH + min(identifier.int >> 80, _LAST) * _MILLISECOND


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND  # exact, where a float of seconds is not


def _moment(at: datetime) -> int:
    fraction = (at.microsecond % 1000) * 4096 // 1000
    return (_milliseconds(at) << 80) | (fraction << 64)
