"""What the scrubber finds, and what finds it."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import msgspec

from conversations.pii.reading import Reading


class Kind(StrEnum):
    """In order of strength: where two finds overlap, the kind named first wins; a plug-in's own kinds come last."""

    SECRET = "secret"  # noqa: S105  (the name of a kind)
    EMAIL = "email"
    IBAN = "iban"
    CN_ID = "cn_id"
    CARD = "card"
    NRIC = "nric"
    IP = "ip"
    PHONE = "phone"


class Span(msgspec.Struct, frozen=True, gc=False):
    """A piece of text that must not leave the record: offsets in code points, `end` exclusive.

    `value_normalised` is the same for every way of writing the value; it appears in no repr.
    """

    kind: str  # a `Kind`, or what a plugged-in detector calls it
    start: int
    end: int
    value_normalised: str

    def __repr__(self) -> str:
        return f"Span({self.kind}, {self.start}, {self.end})"


class Detector(Protocol):
    """Finds personal data in a text; another engine can be plugged in by this. Offsets are those of `reading.text`.

    It has to be linear in the length of the text, whatever the text says, and quick to see that there is nothing.
    """

    def find(self, reading: Reading) -> Iterable[Span]: ...
