"""Dates as people write them."""

from __future__ import annotations

import re
from datetime import datetime

# Not strftime, which follows the locale of the process.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_CHINESE = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")
_CHINESE_MONTH = re.compile(
    "(?<![0-9])(1[0-2]|0?[1-9])月|(?<![二三四五六七八九十])(十[一二]?|[一二三四五六七八九])月"
)


def date_text(moment: datetime) -> str:
    """A session's date as questions put it: `8 May 2023`, in the zone of `moment`."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def months_named(text: str) -> list[str]:
    """English names of the months that folded Chinese text names (5月, 五月), so that they match `date_text`."""
    found = _CHINESE_MONTH.finditer(text)
    return [_MONTHS[(int(m[1]) if m[1] else _CHINESE.index(m[2]) + 1) - 1] for m in found]
