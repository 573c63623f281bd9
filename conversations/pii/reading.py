"""A text as detectors see it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any, ParamSpec, TypeVar

from conversations.pii import folding
from conversations.pii.cues import Cues

_TWO_DIGITS = re.compile("[0-9][0-9]")
NUMBER = re.compile(r"[0-9][0-9 ().-]{5,}[0-9]")
"""Digits and what is written between them, seven characters and more."""

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


class Reading:
    """A folded text, its country and its cue words. What is found in it is traced back to the original."""

    def __init__(self, original: str, *, region: str, again: Reading | None = None) -> None:
        self.original = original
        self.text = folding.fold(original)
        self.region = region
        self.cues = Cues(self.text)
        self._answers: dict[Callable[..., Any], Callable[..., Any]] = again._answers if again else {}

    def remembering(self, ask: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
        """`ask`, which is asked about the same digits once: texts that are full of numbers repeat them."""
        return self._answers.setdefault(ask, cache(ask))

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
    def _moved(self) -> bool:
        return self.text is not self.original and folding.moves(self.original)

    @cached_property
    def _origins(self) -> list[int]:
        return folding.origins(self.original)

    def trace(self, start: int, end: int) -> tuple[int, int]:
        """The same place in the original; what is invisible at its end belongs to it."""
        if not self._moved:
            return start, end
        origins = self._origins
        return origins[start], max(origins[end], origins[end - 1] + 1)
