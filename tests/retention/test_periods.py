"""Periods and expiry: exact cases, and the pure function against PostgreSQL itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retention.periods import Period, PeriodError, bounds, expires_at, expires_sql, is_zone
from tests.retention import cases

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def connection(postgres_server: str) -> Iterator[Connection]:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        yield connection


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    "text", ["P0D", "P90D", "P2Y", "P7Y", "P1Y6M", "P24M", "P2W", "P1Y2M3W4D", "P100Y", "P1200M"]
)
def test_period_is_written_as_it_was_read(text: str) -> None:
    assert str(Period.parse(text)) == text


def test_period_of_zeros_is_no_time() -> None:
    assert str(Period.parse("P0Y0M")) == "P0D"
    assert not Period.parse("P0W")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ISO 8601"),
        ("P", "ISO 8601"),
        ("90", "ISO 8601"),
        ("90D", "ISO 8601"),
        ("p90d", "ISO 8601"),
        ("P90D ", "ISO 8601"),
        ("P90D\n", "ISO 8601"),
        ("P1.5Y", "ISO 8601"),
        ("P1D1Y", "ISO 8601"),
        ("P９D", "ISO 8601"),
        ("P1Y; drop x", "ISO 8601"),
        ("-P90D", "negative"),
        ("P-90D", "negative"),
        ("PT24H", "not hours"),
        ("P1DT1H", "not hours"),
        ("P101Y", "a hundred years"),
        ("P99999Y", "a hundred years"),
        ("P100Y1D", "a hundred years"),
    ],
)
def test_period_that_is_none_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(PeriodError, match=reason):
        Period.parse(text)


@pytest.mark.parametrize(
    ("created", "period", "zone", "expected"),
    [
        # Seven years of 365 days would end two days early.
        ("2024-03-01T00:00:00+00:00", "P7Y", "UTC", "2031-03-01T00:00:00+00:00"),
        ("2024-02-29T12:00:00.000001+00:00", "P2Y", "UTC", "2026-02-28T12:00:00.000001+00:00"),
        ("2024-01-31T08:00:00+00:00", "P1M", "UTC", "2024-02-29T08:00:00+00:00"),
        ("2024-01-31T08:00:00+00:00", "P1M1D", "UTC", "2024-03-01T08:00:00+00:00"),
        # Still 28 February in London, already the 29th in Singapore.
        ("2024-02-28T17:00:00+00:00", "P2Y", "Asia/Singapore", "2026-02-27T17:00:00+00:00"),
        ("2024-02-28T17:00:00+00:00", "P2Y", "Europe/London", "2026-02-28T17:00:00+00:00"),
        # Ninety days over the start of summer time are an hour shorter.
        ("2026-01-01T12:00:00+00:00", "P90D", "Europe/Berlin", "2026-04-01T11:00:00+00:00"),
        # 02:30 on 29 March 2026 never is in Berlin; 02:30 on 25 October is twice, and the later counts.
        ("2026-03-28T01:30:00+00:00", "P1D", "Europe/Berlin", "2026-03-29T01:30:00+00:00"),
        ("2026-10-24T00:30:00+00:00", "P1D", "Europe/Berlin", "2026-10-25T01:30:00+00:00"),
        # 30 December 2011 never was in Samoa.
        ("2011-12-29T22:00:00+00:00", "P1D", "Pacific/Apia", "2011-12-30T22:00:00+00:00"),
    ],
)
def test_expiry_follows_the_calendar_of_the_zone(created: str, period: str, zone: str, expected: str) -> None:
    assert expires_at(at(created), Period.parse(period), zone) == at(expected)


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), zone=cases.zones, period=cases.periods)
def test_expiry_in_python_and_in_postgresql_agree(
    connection: Connection, data: st.DataObject, zone: str, period: Period
) -> None:
    created = data.draw(cases.beginnings(zone, period))

    row = connection.execute(
        f"SELECT {expires_sql('%(created)s::timestamptz')}",
        {"created": created, "zone": zone, "period": str(period)},
    ).fetchone()

    assert row == (expires_at(created, period, zone),)


@settings(max_examples=2000, deadline=None)
@given(data=st.data(), zone=cases.zones, period=cases.periods)
def test_bounds_leave_nothing_out(data: st.DataObject, zone: str, period: Period) -> None:
    created = data.draw(cases.beginnings(zone, period))
    now = data.draw(cases.near(expires_at(created, period, zone), created))

    certain = bounds(now, period)

    is_expired = now >= expires_at(created, period, zone)
    assert is_expired or created > certain.all_expired_through
    assert not is_expired or created <= certain.none_expired_after


@given(first=cases.periods, second=cases.periods, zone=cases.zones, created=cases.month_ends)
def test_period_that_is_never_shorter_never_ends_earlier(
    first: Period, second: Period, zone: str, created: datetime
) -> None:
    if first.never_shorter_than(second):
        assert expires_at(created, first, zone) >= expires_at(created, second, zone)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("P90D", "P90D", True),
        ("P91D", "P90D", True),
        ("P89D", "P90D", False),
        ("P2Y", "P24M", True),
        ("P24M", "P2Y", True),
        ("P730D", "P2Y", False),
        ("P731D", "P2Y", True),
        ("P2Y", "P730D", True),
        ("P3M", "P90D", False),
        ("P90D", "P3M", False),
        ("P1D", "P0D", True),
        ("P0D", "P1D", False),
    ],
)
def test_periods_are_compared_over_every_day_they_may_start_on(
    first: str, second: str, expected: bool
) -> None:
    assert Period.parse(first).never_shorter_than(Period.parse(second)) is expected


@given(period=cases.periods)
def test_fewest_and_most_days_are_reached_and_never_left(period: Period) -> None:
    days = [
        (period.after(start) - start).days
        for start in (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(1461))
    ]

    assert period.fewest_days <= min(days)
    assert max(days) <= period.most_days


@pytest.mark.parametrize("zone", cases.ZONES)
def test_zones_known_to_both_are_zones(connection: Connection, zone: str) -> None:
    assert is_zone(zone)
    assert connection.execute(
        "SELECT count(*) FROM pg_timezone_names WHERE name = %s", [zone]
    ).fetchone() == (1,)


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Mars/Olympus",
        "localtime",
        "utc+8",
        "UTC+8",
        "FOO3",
        "../../etc/passwd",
        "asia/singapore",
        "UTC\0",
    ],
)
def test_zones_that_are_none_are_refused(zone: str) -> None:
    assert not is_zone(zone)
