"""Kinds of personal data, where it was found, and the protocol of detectors."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import msgspec

from conversations.pii.reading import Reading


class Kind(StrEnum):
    """In order of precedence: where spans overlap, the kind listed first wins; a plug-in's own kinds come last."""

    SECRET = "secret"  # noqa: S105  (the name of a kind)
    EMAIL = "email"
    IBAN = "iban"
    CN_ID = "cn_id"
    CARD = "card"
    NRIC = "nric"
    IP = "ip"
    PHONE = "phone"

    __hash__ = str.__hash__  # enum's own calls Python, once for each span found


class Span(msgspec.Struct, frozen=True, gc=False):
    """Personal data in a text: offsets in code points, `end` exclusive.

    `value_normalised` is the same for every spelling of the value; it is left out of the repr.
    """

    kind: str  # a `Kind`, or what a plugged-in detector calls it
    start: int
    end: int
    value_normalised: str

    def __repr__(self) -> str:
        return f"Span({self.kind}, {self.start}, {self.end})"


class Detector(Protocol):
    """Finds personal data in a text; implemented by plug-ins too. Offsets refer to `reading.text`.

    It must take linear time on any text, and return quickly where there is nothing to find.
    """

    def find(self, reading: Reading) -> Iterable[Span]: ...
