import re
from collections.abc import Iterator

from conversations.pii.cues import Cue
from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

# As cards are printed and typed: 4-4-4-1..4(-1..3), 4-6-4, 4-6-5, 6-13, or without any separator. All but the first
# digit is a look-ahead, so that a candidate may begin within another one.
_CANDIDATE = re.compile(
    r"[2-6](?<![0-9].)(?=("
    r"[0-9]{12,18}"
    r"|[0-9]{3}([ -])[0-9]{4}\2[0-9]{4}\2[0-9]{1,4}(?P<tail>\2[0-9]{1,3})?"
    r"|[0-9]{3}([ -])[0-9]{6}\4[0-9]{4,5}"
    r"|[0-9]{5}[ -][0-9]{10,13}"
    r")(?![0-9]))",
    re.DOTALL,
)

# Issuer ranges by their first digits and the lengths in use.
_ISSUERS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-59]|[689][0-9])[0-9]{11}"  # Diners Club
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"  # JCB
    r"|62[0-9]{14,17}"  # UnionPay
    r"|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12,15}"  # Discover
    r"|220[0-4][0-9]{12,15}"  # Mir
    r"|(?:50|5[678]|6[0379])[0-9]{14,17}"  # Maestro, RuPay
)
# By character code. Each second digit counts twice, and the two digits of that are added.
_ONCE = bytes(code - 48 if 48 <= code < 58 else 0 for code in range(256))
_TWICE = bytes(sum(divmod(2 * digit, 10)) for digit in _ONCE)


class Cards:
    """Payment cards by issuer range, length and Luhn check; one in ten order numbers would pass Luhn alone."""

    def find(self, reading: Reading) -> Iterator[Span]:
        if not reading.has_numbers:
            return
        holds = reading.cached(is_card)
        end = 0
        for match in _CANDIDATE.finditer(reading.text):
            start = match.start()
            if start < end:
                continue
            written, tail = match[0] + match[1], match["tail"]
            if tail and not holds(_digits(written)):
                written = written[: -len(tail)]  # without an expiry date or a security code
            digits = _digits(written)
            if holds(digits) and reading.cues.names(start) is not Cue.REFERENCE:
                end = start + len(written)
                yield Span(Kind.CARD, start, end, digits)


def is_card(digits: str) -> bool:
    return bool(_ISSUERS.fullmatch(digits)) and luhn_holds(digits)


def luhn_holds(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    codes, odd = digits.encode(), len(digits) % 2
    return (sum(codes[1 - odd :: 2].translate(_ONCE)) + sum(codes[odd::2].translate(_TWICE))) % 10 == 0


def _digits(written: str) -> str:
    return written.replace(" ", "").replace("-", "")
