import re
from collections.abc import Iterator

import msgspec

from conversations.pii.cues import Cue
from conversations.pii.detectors.phone_plans import Number, home, international
from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

# Digits, or a date, which is no part of any number.
_TOKEN = re.compile(
    r"(?P<date>"
    r"(?:19|20)[0-9]{2}(?P<a>[-. ])(?:0?[1-9]|1[0-2])(?P=a)(?:0?[1-9]|[12][0-9]|3[01])(?![0-9])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])(?P<b>[-. ])(?:0?[1-9]|[12][0-9]|3[01])(?P=b)(?:19|20)[0-9]{2}(?![0-9])"
    r"|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?![0-9])"
    r")|[0-9]+"
)
_GAPS = {" ", "-", ".", "(", ")", ") ", ")-", " (", "-(", " - ", "  ", " (0)", "(0)", "(0) ", " (0) "}
_PLUSES = {"+(", "+ "}
_PART_OF_SOMETHING = re.compile(
    r"(?:[A-Za-z0-9_#=@&]|[A-Za-z0-9][.-]|[A-Za-z/:]/|[$€£¥₹][ ]?|(?:RM|SGD|USD|HKD|CNY|RMB|MYR|GBP|EUR)[ ]?)$"
)
_COUNTS_SOMETHING = re.compile(
    r"[A-Za-z0-9_%]|[.-][0-9]"
    r"|[ ]?(?:元|块|圆|件|克|USD|SGD|HKD|CNY|RMB|MYR|EUR|GBP"
    r"|(?:dollars|bytes|[kmg]b|ms|kg|ml|pcs|points)(?![A-Za-z0-9]))"
)

_MOST_GROUPS = 6
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_MOST_ANNOUNCED = 13
_NEAR = 14  # characters from a word to a number that no plan knows, or from a number to the word behind it


class _Window(msgspec.Struct, frozen=True, gc=False):
    """Neighbouring groups of digits that are a number in some country."""

    start: int
    end: int
    digits: str
    sizes: tuple[int, ...]
    alone: bool  # no other digits around

    @property
    def formatted(self) -> bool:
        return len(self.sizes) > 1


class Phones:
    """Telephone numbers: with a plus of any country, without one by plan, spelling and the words around them."""

    def find(self, reading: Reading) -> Iterator[Span]:
        if not reading.has_numbers:
            return
        for groups in _runs(reading.text):
            yield from _Run(reading, groups).phones()


def _runs(text: str) -> Iterator[list[re.Match[str]]]:
    """Groups of digits with little between them, where they have digits enough for a telephone number."""
    run: list[re.Match[str]] = []
    end = 0
    for token in _TOKEN.finditer(text):
        is_date = token.lastgroup == "date"
        if run and (is_date or text[end : token.start()] not in _GAPS):
            if end - run[0].start() >= _FEWEST_DIGITS:
                yield run
            run = []
        if not is_date:
            run.append(token)
            end = token.end()
    if run and end - run[0].start() >= _FEWEST_DIGITS:
        yield run


class _Run:
    """The numbers in one run of groups."""

    __slots__ = ("_cues", "_groups", "_has_plus", "_home", "_text", "_tokens")

    def __init__(self, reading: Reading, tokens: list[re.Match[str]]) -> None:
        self._text = reading.text
        self._cues = reading.cues
        self._home = home(reading.region)
        self._tokens = tokens
        self._groups = [token[0] for token in tokens]
        self._has_plus = reading.has_plus

    def phones(self) -> Iterator[Span]:
        first = 0
        while first < len(self._tokens):
            plus = self._plus_before(first) if self._has_plus else 0
            last, e164 = self._international(first) if plus else self._national(first)
            if e164:
                start, end = self._tokens[first].start() - plus, self._tokens[last].end()
                yield Span(Kind.PHONE, self._opening(start, end), end, e164)
            first = last + 1

    def _candidates(self, first: int, *, pairs_allowed: bool) -> list[tuple[int, str]]:
        """(last group, digits) of what could be a number that begins with this group, longest first."""
        digits, candidates = "", []
        last = first
        # The innermost loop: of a text of nothing but digits it is what takes the time.
        for group in self._groups[first : first + _MOST_GROUPS]:
            digits += group
            size = len(digits)
            if size > _MOST_DIGITS:
                break
            if not pairs_allowed:
                if len(group) == 1 and last > first:
                    break
                if size >= _FEWEST_DIGITS and len(group) > 2:
                    candidates.append((last, digits))
            elif size >= _FEWEST_DIGITS:
                candidates.append((last, digits))
            last += 1
        candidates.reverse()
        return candidates

    def _international(self, first: int) -> tuple[int, str]:
        for last, digits in self._candidates(first, pairs_allowed=True):
            if e164 := international(digits):
                return last, e164
        return first, ""

    def _national(self, first: int) -> tuple[int, str]:
        """The last group of the number that begins with this one, and the number; or this group, and nothing."""
        groups = self._groups
        if len(groups[first]) == 1 and first + 1 < len(groups) and len(groups[first + 1]) < 3:
            return first, ""
        candidates = self._candidates(first, pairs_allowed=groups[first][0] == "0")
        for last, digits in candidates:
            number = self._home.read(digits)
            if number and self._is_believable(number, self._window(first, last, digits)):
                return last, number.e164
        if candidates and self._cues.announces(self._tokens[first].start(), _NEAR):
            # After "phone:" or "电话" any number of digits is one, whether or not a plan knows it.
            for last, digits in candidates:
                if len(digits) <= _MOST_ANNOUNCED:
                    return last, self._home.assume(digits)
        return first, ""

    def _window(self, first: int, last: int, digits: str) -> _Window:
        sizes = tuple(map(len, self._groups[first : last + 1]))
        alone = len(sizes) == len(self._groups)
        return _Window(self._tokens[first].start(), self._tokens[last].end(), digits, sizes, alone)

    def _is_believable(self, number: Number, window: _Window) -> bool:
        if self._cues.before(window.start) is Cue.PHONE:
            return True
        if self._cues.names(window.start) is Cue.REFERENCE or self._is_something_else(window):
            return False
        return _is_familiar(number, window, self._home.region) or (
            self._cues.after(window.end, _NEAR) is Cue.PHONE
        )

    def _is_something_else(self, window: _Window) -> bool:
        """Part of a longer code or address, an amount, a quantity, a decimal fraction."""
        if len(window.sizes) == 2 and self._text[window.start + window.sizes[0]] == ".":
            return True
        before = self._text[max(0, window.start - 4) : window.start]
        return bool(_PART_OF_SOMETHING.search(before) or _COUNTS_SOMETHING.match(self._text, window.end))

    def _plus_before(self, first: int) -> int:
        """How far before the digits of this group the plus stands; 0 if there is none."""
        start = self._tokens[first].start()
        if start and self._text[start - 1] == "+":
            return 1
        return 2 if self._text[max(0, start - 2) : start] in _PLUSES else 0

    def _opening(self, begin: int, end: int) -> int:
        """`begin`, or the bracket before it that is closed within the number."""
        written = self._text[begin:end]
        closed = written.count(")") > written.count("(")
        return begin - 1 if closed and self._text[begin - 1 : begin] == "(" else begin


def _is_familiar(number: Number, window: _Window, region: str) -> bool:
    """Without any word beside it: at home every valid number, abroad only what hardly means anything else."""
    sizes = window.sizes
    if number.region == "US" and window.formatted and sizes[-1] != 7 and sizes[-2:] != (3, 4):
        return False
    if number.region == region:
        return True
    if not window.formatted:
        return number.region == "CN" and number.mobile
    if len(window.digits) == 8:
        return window.alone and sizes == (4, 4) and window.digits[0] in "5689"
    return True
