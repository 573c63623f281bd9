"""Ids carry the moment of their row, in order."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from conversations import ids

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS)
def test_id_is_a_uuid7_of_its_moment(at: datetime) -> None:
    made = ids.new_id(at)

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert ids.moment_of(made) == at.replace(microsecond=at.microsecond // 1000 * 1000)


@given(MOMENTS, st.integers(1, 50))
def test_ids_of_one_moment_ascend(at: datetime, count: int) -> None:
    made = ids.new_ids(at, count)

    assert made == sorted(made)
    assert len(set(made)) == count


@given(MOMENTS, MOMENTS)
def test_ids_of_later_moments_are_greater(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))

    assert ids.new_id(earlier) < ids.new_id(later + timedelta(microseconds=1))


@given(MOMENTS)
def test_floor_bounds_its_millisecond(at: datetime) -> None:
    assert ids.floor_id(at) <= ids.new_id(at)
    assert ids.moment_of(ids.floor_id(at)) == ids.moment_of(ids.new_id(at))


def test_moment_of_the_highest_id_can_be_named() -> None:
    assert ids.moment_of(UUID(int=(1 << 128) - 1)).year == 9999


def test_floor_of_a_moment_before_1970_is_the_lowest_id() -> None:
    assert ids.floor_id(datetime(471, 10, 28, tzinfo=UTC)) == UUID(int=0)
