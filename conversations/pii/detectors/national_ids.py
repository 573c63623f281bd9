import re
from collections.abc import Iterator
from datetime import date
from operator import mul

from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

_NRIC = re.compile(r"([STFGMstfgm])(?<![A-Za-z0-9].)[ -]?([0-9]{7})[ -]?([A-Za-z])(?![A-Za-z0-9])", re.DOTALL)
_NRIC_WEIGHTS = (2, 7, 6, 5, 4, 3, 2)
_NRIC_SERIES = {  # the offset of the weighted sum, and the check letter for each remainder modulo 11
    "S": (0, "JZIHGFEDCBA"),
    "T": (4, "JZIHGFEDCBA"),
    "F": (0, "XWUTRQPNMLK"),
    "G": (4, "XWUTRQPNMLK"),
    "M": (3, "XWUTRQPNJLK"),
}

_CN_ID = re.compile(
    r"([1-9](?<![0-9A-Za-z].)[0-9]{5})[ -]?((?:18|19|20)[0-9]{2})([01][0-9])([0-3][0-9])[ -]?([0-9]{3}[0-9Xx])"
    r"(?![0-9A-Za-z])",
    re.DOTALL,
)
_CN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CN_CHECKS = "10X98765432"


class Nrics:
    """Singapore NRIC and FIN, with their check letter."""

    def find(self, reading: Reading) -> Iterator[Span]:
        if not reading.has_numbers:
            return
        for match in _NRIC.finditer(reading.text):
            value = "".join(match.groups()).upper()
            if value[-1] == nric_letter(value[0], value[1:8]):
                yield Span(Kind.NRIC, match.start(), match.end(), value)


class ChineseIds:
    """Resident identity numbers of the People's Republic (GB 11643-1999): date of birth and check digit."""

    def find(self, reading: Reading) -> Iterator[Span]:
        if not reading.has_numbers:
            return
        for match in _CN_ID.finditer(reading.text):
            value = "".join(match.groups()).upper()
            if _is_date(*map(int, match.group(2, 3, 4))) and value[-1] == cn_check(value[:17]):
                yield Span(Kind.CN_ID, match.start(), match.end(), value)


def nric_letter(series: str, digits: str) -> str:
    offset, letters = _NRIC_SERIES[series]
    return letters[(offset + sum(map(mul, _NRIC_WEIGHTS, map(int, digits)))) % 11]


def cn_check(digits: str) -> str:
    return _CN_CHECKS[sum(map(mul, _CN_WEIGHTS, map(int, digits))) % 11]


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
