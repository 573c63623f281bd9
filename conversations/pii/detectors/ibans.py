import re
from collections.abc import Iterator
from functools import cache

from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

# Total length by country: SWIFT IBAN registry.
_LENGTHS_TEXT = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18
FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20
LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24
SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _LENGTHS_TEXT.split()}
_AS_NUMBERS = str.maketrans({chr(ord("A") + place): str(10 + place) for place in range(26)})
_PREFIX = re.compile(r"([A-Za-z](?<![A-Za-z0-9].)[A-Za-z])[0-9]{2}(?=[ -]?[A-Za-z0-9]{3})", re.DOTALL)


class Ibans:
    """Bank accounts by country, length and check digits (ISO 13616, mod 97)."""

    def find(self, reading: Reading) -> Iterator[Span]:
        if not reading.has_digits:
            return
        for prefix in _PREFIX.finditer(reading.text):
            length = _LENGTHS.get(prefix[1].upper())
            match = length and _account(length).match(reading.text, prefix.start())
            if match:
                value = match[0].replace(" ", "").replace("-", "").upper()
                if _check_holds(value):
                    yield Span(Kind.IBAN, match.start(), match.end(), value)


@cache
def _account(length: int) -> re.Pattern[str]:
    return re.compile(rf"[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[A-Za-z0-9]){{{length - 4}}}(?![A-Za-z0-9])")


def _check_holds(iban: str) -> bool:
    return int((iban[4:] + iban[:4]).translate(_AS_NUMBERS)) % 97 == 1
