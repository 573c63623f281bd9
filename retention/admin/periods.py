"""Periods as people write them: `90 days`, `2 years`, `1 year 6 months`, or ISO 8601."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from retention.endings import in_words
from retention.periods import Period, PeriodError

_UNITS = {"year": "Y", "month": "M", "week": "W", "day": "D"}
_PART = re.compile(r"(\d{1,5})\s*(year|month|week|day)s?", re.ASCII | re.IGNORECASE)


class PeriodField(forms.CharField):
    """A `Period`; one of no time only where `may_be_nothing`."""

    def __init__(self, *, may_be_nothing: bool = False, **kwargs: Any) -> None:
        self.may_be_nothing = may_be_nothing
        super().__init__(required=not may_be_nothing, max_length=60, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return (
            in_words(value) if isinstance(value, Period) and value else ("" if value == Period() else value)
        )

    def clean(self, value: Any) -> Period:
        text = (super().clean(value) or "").strip()
        if not text:
            return Period()
        written = _as_iso(text)
        try:
            return Period.parse(written)
        except PeriodError as error:
            if written.startswith(("P", "-")):
                raise ValidationError(str(error)) from error
            raise ValidationError(
                "Write a number and days, weeks, months or years, as in: 90 days, 1 year 6 months."
            ) from error


def _as_iso(text: str) -> str:
    """ISO 8601 for what is written in words; anything else as it is."""
    parts = _PART.findall(text)
    rest = _PART.sub("", text).replace("and", "").replace(",", "").strip()
    if not parts or rest:
        return text.upper()
    counts = {unit.lower(): count for count, unit in parts}
    return "P" + "".join(f"{counts[unit]}{letter}" for unit, letter in _UNITS.items() if unit in counts)
