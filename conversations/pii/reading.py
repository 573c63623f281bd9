"""A text as detectors see it."""

import re
from functools import cached_property

from conversations.pii import folding
from conversations.pii.cues import Cues

_TWO_DIGITS = re.compile("[0-9][0-9]")
NUMBER = re.compile(r"[0-9][0-9 ().-]{5,}[0-9]")
"""Digits and what is written between them, seven characters and more."""


class Reading:
    """A folded text, its country and its cue words. What is found in it is traced back to the original."""

    def __init__(self, original: str, *, region: str) -> None:
        self.original = original
        self.text = folding.fold(original)
        self.region = region
        self.cues = Cues(self.text)

    @cached_property
    def has_digits(self) -> bool:
        """Two in a row, as in everything that has a checksum."""
        return _TWO_DIGITS.search(self.text) is not None

    @cached_property
    def has_numbers(self) -> bool:
        return self.has_digits and NUMBER.search(self.text) is not None

    @cached_property
    def has_plus(self) -> bool:
        return "+" in self.text

    @cached_property
    def _origins(self) -> list[int]:
        return folding.origins(self.original)

    def trace(self, start: int, end: int) -> tuple[int, int]:
        """The same place in the original; what is invisible at its end belongs to it."""
        if self.text is self.original:
            return start, end
        origins = self._origins
        return origins[start], max(origins[end], origins[end - 1] + 1)
