"""Calendar periods, and the one pure function that says when something expires.

Two years end on the same day two years later, not 730 days later. The arithmetic is PostgreSQL's, so that the
function and its SQL twin always agree: on the clock of the tenant's zone, months first, ending no later than
the last day of the month, then days.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import product
from typing import NamedTuple, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

LONGEST_MONTHS, LONGEST_DAYS = 1_200, 36_525  # a hundred years

_FORM = re.compile(r"P(?=\d)(?:(\d{1,5})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,5})D)?", re.ASCII)
# A zone that changes sides of the date line moves its clock by a day.
_SLACK = timedelta(days=2)

Day = TypeVar("Day", date, datetime)


class PeriodError(ValueError):
    """The text is not a calendar period; says why."""


@dataclass(frozen=True, slots=True)
class Period:
    """Years, months, weeks and days as they were written: `P24M` stays `P24M`."""

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """The period of an ISO 8601 text such as `P90D` or `P1Y6M`; PeriodError with the reason otherwise."""
        if "-" in text:
            raise PeriodError("A period cannot be negative.")
        if "T" in text:
            raise PeriodError("A period counts calendar days or more, not hours.")
        found = _FORM.fullmatch(text)
        if found is None:
            raise PeriodError("A period is written in ISO 8601, such as P90D, P2Y or P1Y6M.")
        period = cls(*(int(number or 0) for number in found.groups()))
        if period.total_months > LONGEST_MONTHS or period.most_days > LONGEST_DAYS:
            raise PeriodError("A period lasts at most a hundred years.")
        return period

    def __str__(self) -> str:
        parts = zip((self.years, self.months, self.weeks, self.days), "YMWD", strict=True)
        return "P" + ("".join(f"{number}{unit}" for number, unit in parts if number) or "0D")

    def __bool__(self) -> bool:
        return bool(self.total_months or self.total_days)

    @property
    def total_months(self) -> int:
        return 12 * self.years + self.months

    @property
    def total_days(self) -> int:
        """The days beside the months."""
        return 7 * self.weeks + self.days

    @property
    def fewest_days(self) -> int:
        """The shortest it can last, counted from any day."""
        return _days_in(self.total_months)[0] + self.total_days

    @property
    def most_days(self) -> int:
        """The longest it can last, counted from any day."""
        return _days_in(self.total_months)[1] + self.total_days

    def after(self, local: datetime) -> datetime:
        """The local time one period later."""
        return _add_months(local, self.total_months) + timedelta(days=self.total_days)

    def never_shorter_than(self, other: Self) -> bool:
        """Whether it ends with the other or later, whatever day both start on."""
        if self.total_months >= other.total_months and self.total_days >= other.total_days:
            return True
        return self.fewest_days >= other.most_days


NO_TIME = Period()


class Bounds(NamedTuple):
    """Two moments of creation with everything uncertain between them: for indexes and partitions."""

    all_expired_through: datetime
    none_expired_after: datetime


def expires_at(created_at: datetime, period: Period, zone: str) -> datetime:
    """The first moment at which something created then is expired, in UTC."""
    local = created_at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return _instant(period.after(local), ZoneInfo(zone))


def expires_sql(column: str, *, period: str = "%(period)s") -> str:
    """The SQL twin of `expires_at`, for the parameter `zone`. Both arguments are SQL: a column, a placeholder."""
    return f"((({column} AT TIME ZONE %(zone)s) + ({period})::interval) AT TIME ZONE %(zone)s)"


def bounds(now: datetime, period: Period) -> Bounds:
    """What has expired for certain at that moment, and what cannot have; holds in every zone."""
    oldest, youngest = timedelta(days=period.most_days) + _SLACK, timedelta(days=period.fewest_days) - _SLACK
    return Bounds(now - oldest, now - youngest)


def is_zone(name: str) -> bool:
    """Whether it names a time zone by the name that Python and PostgreSQL share."""
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    # Entries of the host's folder that mean something else on another host, or nothing at all.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    # Where clocks change, a local time has two readings. PostgreSQL takes the later: nothing expires early.
    return max(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def _add_months(day: Day, months: int) -> Day:
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return day.replace(year=year, month=month + 1, day=min(day.day, monthrange(year, month + 1)[1]))


@cache
def _days_in(months: int) -> tuple[int, int]:
    """The fewest and the most days that so many months can last."""
    # From both ends of every month of one Gregorian cycle, after which the calendar repeats.
    firsts = [date(year, month, 1) for year, month in product(range(2000, 2400), range(1, 13))]
    lasts = [first.replace(day=monthrange(first.year, first.month)[1]) for first in firsts]
    lengths = [(_add_months(day, months) - day).days for day in firsts + lasts]
    return min(lengths), max(lengths)
