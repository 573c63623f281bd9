"""Dates as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from conversations.ranking.dates import date_text, months_named


def test_date_text_is_day_month_and_year_in_the_moments_zone():
    late = datetime(2023, 5, 8, 23, 59, tzinfo=UTC)

    assert date_text(late) == "8 May 2023"
    assert date_text(late.astimezone(timezone(timedelta(hours=8)))) == "9 May 2023"


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("5月8日", ["May"]),
        ("2023年12月", ["December"]),
        ("05月", ["May"]),
        ("三月和十一月", ["March", "November"]),
        ("13月 二十月", []),
        ("3个月", []),
        ("in May", []),
    ],
)
def test_months_named_in_chinese(text, months):
    assert months_named(text) == months
