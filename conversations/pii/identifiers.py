"""Normalises an identifier that somebody typed to the forms that scrubbing records."""

import re

from conversations.pii.detectors.phone_plans import home, international
from conversations.pii.engine import DEFAULT_REGION, find
from conversations.pii.folding import fold
from conversations.pii.values import Kind

_NOT_A_DIGIT = re.compile(r"[^0-9]")
_PHONE_SHAPE = re.compile(r"\+?[0-9 ().-]{7,24}")


def normalise_identifier(
    kind: str | None, raw: str, *, region: str = DEFAULT_REGION
) -> list[tuple[str, str]]:
    """(kind, normalised value) of every possible meaning; several for a phone number without country code.

    `kind` limits them to one kind. Empty if `raw` is no identifier, or its check digit is wrong.
    """
    whole = raw.strip()
    found: list[tuple[str, str]] = [
        (span.kind, span.value_normalised)
        for span in find(whole, region=region)
        if span.start == 0 and span.end == len(whole)
    ]
    if kind == Kind.PHONE or (kind is None and all(one == Kind.PHONE for one, _ in found)):
        found += [(Kind.PHONE, number) for number in _phones(fold(whole), region)]
    return [one for one in dict.fromkeys(found) if kind is None or one[0] == kind]


def _phones(text: str, region: str) -> list[str]:
    if not _PHONE_SHAPE.fullmatch(text):
        return []
    digits = _NOT_A_DIGIT.sub("", text)
    if text.startswith("+") or digits.startswith("00"):
        number = international(digits.removeprefix("00"))
        return [number] if number else []
    return [home(region).assume(digits), *home(region).read_all(digits)]
