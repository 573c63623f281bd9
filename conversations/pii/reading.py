"""A text as detectors see it: folded, with its region and cues."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any, ParamSpec, TypeVar

from conversations.pii import folding
from conversations.pii.cues import Cues

_TWO_DIGITS = re.compile("[0-9][0-9]")
NUMBER = re.compile(r"[0-9][0-9 ().-]{5,}[0-9]")
"""Digits with separators, seven characters and more."""

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Reading:
    """A folded text, its region and its cue words; traces spans back to the original."""

    def __init__(self, original: str, *, region: str, again: Reading | None = None) -> None:
        self.original = original
        self.text = folding.fold(original)
        self.region = region
        self.cues = Cues(self.text)
        self._cached: dict[Callable[..., Any], Callable[..., Any]] = again._cached if again else {}

    def cached(self, function: Callable[Params, Result]) -> Callable[Params, Result]:
        """`function` with a cache: texts that are full of numbers repeat them."""
        return self._cached.setdefault(function, cache(function))

    @cached_property
    def has_digits(self) -> bool:
        """Whether two digits follow each other, as in everything that has a checksum."""
        return _TWO_DIGITS.search(self.text) is not None

    @cached_property
    def has_numbers(self) -> bool:
        return self.has_digits and NUMBER.search(self.text) is not None

    @cached_property
    def has_plus(self) -> bool:
        return "+" in self.text

    @cached_property
    def has_moved(self) -> bool:
        """Whether offsets in the folded text are not those of the original."""
        return self.text is not self.original and folding.moves(self.original)

    @cached_property
    def _origins(self) -> list[int]:
        return folding.origins(self.original)

    def trace(self, start: int, end: int) -> tuple[int, int]:
        """The same span in the original, with invisible characters at its end."""
        if not self.has_moved:
            return start, end
        origins = self._origins
        return origins[start], max(origins[end], origins[end - 1] + 1)
