"""Periods as an officer writes them."""

import pytest
from django.core.exceptions import ValidationError

from retention.admin.periods import PeriodField


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("90 days", "P90D"),
        ("1 Year and 6 months", "P1Y6M"),
        ("2 weeks", "P2W"),
        ("p2y", "P2Y"),
        ("P1Y6M", "P1Y6M"),
    ],
)
def test_a_period_is_read_in_words_and_in_iso(written: str, read: str) -> None:
    assert str(PeriodField().clean(written)) == read


@pytest.mark.parametrize("written", ["soon", "3 fortnights", "90", "two years", "1 year or so", "12 hours"])
def test_what_is_no_period_is_answered_in_words(written: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PeriodField().clean(written)

    assert refused.value.messages == [
        "Write a number and days, weeks, months or years, as in: 90 days, 1 year 6 months."
    ]


@pytest.mark.parametrize(
    ("written", "why"),
    [("-3 days", "cannot be negative"), ("900 years", "hundred years"), ("PT1H", "not hours")],
)
def test_what_cannot_be_says_why(written: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PeriodField().clean(written)
