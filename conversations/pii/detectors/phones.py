import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

from conversations.pii.cues import Cue
from conversations.pii.detectors.phone_plans import Number, home, international
from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

_DATE = re.compile(
    r"(?=[0-9](?<![0-9].))(?:"
    r"(?:19|20)[0-9]{2}(?P<a>[-. ])(?:0?[1-9]|1[0-2])(?P=a)(?:0?[1-9]|[12][0-9]|3[01])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])(?P<b>[-. ])(?:0?[1-9]|[12][0-9]|3[01])(?P=b)(?:19|20)[0-9]{2}"
    r"|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r")(?![0-9])"
)
# What may stand between two groups of one number: " ", "-", ".", "(", ")", ") ", ")-", " (", "-(", " - " or "  ".
_GAP = r"(?: (?:[ (]|- )?|-\(?|\)[ -]?|[.(])"
# A group of digits, or the empty place behind one that is the last of its number.
_GROUP = re.compile(rf"([0-9]+|(?<=[0-9])(?!{_GAP}[0-9]))")
_PLUSES = {"+(", "+ "}
_PART_OF_SOMETHING = re.compile(
    r"(?<=[A-Za-z0-9_#=@&$€£¥₹])|(?<=[A-Za-z0-9][.-])|(?<=[A-Za-z/:]/)"
    r"|(?<=[$€£¥₹][ ])|(?<=RM[ ])|(?<=(?:SGD|USD|HKD|CNY|RMB|MYR|GBP|EUR)[ ])"
)
_COUNTS_SOMETHING = re.compile(
    r"[A-Za-z0-9_%]|[.-][0-9]"
    r"|[ ]?(?:元|块|圆|件|克|USD|SGD|HKD|CNY|RMB|MYR|EUR|GBP"
    r"|(?:dollars|bytes|[kmg]b|ms|kg|ml|pcs|points)(?![A-Za-z0-9]))"
)

_MOST_GROUPS = 6
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_MOST_ANNOUNCED = 13
_NEAR = 14  # characters from a cue to a number outside every plan, or from a number to the cue after it


class Phones:
    """Telephone numbers: of any country with a plus; without one, by numbering plan, grouping and nearby cues."""

    def find(self, reading: Reading) -> Iterable[Span]:
        return _Groups(reading).phones() if reading.has_numbers else ()


class _Groups:
    """The groups of digits in a text, with an empty one between groups that cannot be of one number."""

    def __init__(self, reading: Reading) -> None:
        self._text = reading.text
        self._cues = reading.cues
        self._has_plus = reading.has_plus
        self._home = home(reading.region)
        self._read = reading.cached(self._home.read)
        self._assume = reading.cached(self._home.assume)
        self._groups, self._starts = _groups_in(self._text)
        self._sizes = tuple(map(len, self._groups))
        self._digits = "".join(self._groups)
        self._begins = [0, *accumulate(self._sizes)]  # of each group in the digits

    def phones(self) -> Iterator[Span]:
        first = 0
        while first < len(self._groups):
            if not self._groups[first]:
                first += 1
                continue
            plus = self._plus_before(first) if self._has_plus else 0
            last, e164 = self._international(first) if plus else self._national(first)
            if e164:
                start, end = self._starts[first] - plus, self._starts[last] + self._sizes[last]
                yield Span(Kind.PHONE, self._opening(start, end), end, e164)
            first = last + 1

    def _international(self, first: int) -> tuple[int, str]:
        begin = self._begins[first]
        for behind, length in _ends(self._sizes[first : first + _MOST_GROUPS], True):
            if e164 := international(self._digits[begin : begin + length]):
                return first + behind, e164
        return first, ""

    def _national(self, first: int) -> tuple[int, str]:
        """The last group and the E.164 form of the number that begins with this group; else this group and nothing."""
        if self._sizes[first] == 1 and self._sizes[first + 1] < 3:
            return first, ""
        ends = _ends(self._sizes[first : first + _MOST_GROUPS], self._groups[first][0] == "0")
        if not ends:
            return first, ""
        begin = self._begins[first]
        for behind, length in ends:
            number = self._read(self._digits[begin : begin + length])
            if number and self._is_believable(number, first, first + behind):
                return first + behind, number.e164
        if self._cues.announces(self._starts[first], _NEAR):
            # After "phone:" or "电话", digits are a number even if they fit no plan.
            for behind, length in ends:
                if length <= _MOST_ANNOUNCED:
                    return first + behind, self._assume(self._digits[begin : begin + length])
        return first, ""

    def _is_believable(self, number: Number, first: int, last: int) -> bool:
        start, end = self._starts[first], self._starts[last] + self._sizes[last]
        if self._cues.before(start) is Cue.PHONE:
            return True
        if not self._is_familiar(number, first, last) and self._cues.after(end, _NEAR) is not Cue.PHONE:
            return False
        if last == first + 1 and self._text[start + self._sizes[first]] == ".":
            return False  # a decimal fraction
        return self._cues.names(start) is not Cue.REFERENCE and not self._is_something_else(start, end)

    def _is_familiar(self, number: Number, first: int, last: int) -> bool:
        """Without a cue: any valid number of the home region; abroad, only groupings that are typical of telephones."""
        region = number.plan.region
        if first == last:
            return region == self._home.region or (region == "CN" and number.plan.is_mobile(number.national))
        sizes = self._sizes[first : last + 1]
        if region == "US" and sizes[-1] != 7 and sizes[-2:] != (3, 4):
            return False
        if region != self._home.region and sum(sizes) == 8:
            alone = not self._groups[first - 1] and not self._groups[last + 1]
            return alone and sizes == (4, 4) and self._groups[first][0] in "5689"
        return True

    def _is_something_else(self, start: int, end: int) -> bool:
        """Part of a longer code or address, an amount, a quantity."""
        return bool(_PART_OF_SOMETHING.match(self._text, start) or _COUNTS_SOMETHING.match(self._text, end))

    def _plus_before(self, first: int) -> int:
        """The distance from the plus to the first digit of this group; 0 if there is none."""
        start = self._starts[first]
        if start and self._text[start - 1] == "+":
            return 1
        return 2 if self._text[max(0, start - 2) : start] in _PLUSES else 0

    def _opening(self, begin: int, end: int) -> int:
        """`begin`, or the position of a bracket before it that is closed within the number."""
        if not begin or self._text[begin - 1] != "(":
            return begin
        written = self._text[begin:end]
        return begin - (written.count(")") > written.count("("))


def _groups_in(text: str) -> tuple[list[str], list[int]]:
    """Groups of digits with their offsets, and an empty one behind each that the next is too far from; no dates."""
    parts = _GROUP.split(_DATE.sub(_blank, text))
    return parts[1::2], list(accumulate(map(len, parts)))[::2]


def _blank(match: re.Match[str]) -> str:
    return "/" * len(match[0])


@lru_cache(maxsize=4096)
def _ends(sizes: tuple[int, ...], pairs_allowed: bool) -> Sequence[tuple[int, int]]:
    """(number of further groups, digits) of possible numbers that begin with the first group, longest first."""
    ends = []
    digits = 0
    for behind, size in enumerate(sizes):
        digits += size
        if not size or digits > _MOST_DIGITS or (behind and size == 1 and not pairs_allowed):
            break
        if digits >= _FEWEST_DIGITS and (size > 2 or pairs_allowed):
            ends.append((behind, digits))
    return ends[::-1]
