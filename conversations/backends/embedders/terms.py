"""A process-wide table of word vectors, so that ranking embeds each word once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from conversations.backends.embedders.contract import Vectors

CAPACITY = 32_768
"""Words kept; at 256 dimensions 32 MB."""


class TermTable:
    """Caches the vectors that `embed` gives for words; a full table starts over. Thread-safe."""

    def __init__(
        self, embed: Callable[[Sequence[str]], Vectors], dimension: int, capacity: int = CAPACITY
    ) -> None:
        self._embed = embed
        self._dimension = dimension
        self._capacity = capacity
        self._lock = threading.Lock()
        self._start_anew()

    def __len__(self) -> int:
        return len(self._places)

    def __call__(self, words: Sequence[str]) -> Vectors:
        with self._lock:
            unknown = [word for word in dict.fromkeys(words) if word not in self._places]
            if len(self._places) + len(unknown) > self._capacity:
                self._start_anew()
                unknown = list(dict.fromkeys(words))
            if unknown:
                self._learn(unknown)
            rows: Vectors = self._rows[[self._places[word] for word in words]]
            return rows

    def _start_anew(self) -> None:
        self._places: dict[str, int] = {}
        self._rows: Vectors = np.zeros((0, self._dimension), np.float32)

    def _learn(self, words: list[str]) -> None:
        start = len(self._places)
        needed = start + len(words)
        if needed > len(self._rows):
            grown = np.zeros((max(needed, 2 * len(self._rows), 1024), self._dimension), np.float32)
            grown[:start] = self._rows[:start]
            self._rows = grown
        self._rows[start:needed] = self._embed(words)
        self._places.update(zip(words, range(start, needed), strict=True))
