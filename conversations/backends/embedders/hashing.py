"""Deterministic vectors without a model, for tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from conversations.backends.embedders.contract import MAX_CHARACTERS, Vectors, unit
from conversations.backends.embedders.profile import EmbeddingProfile


class HashEmbedder:
    """Each word has a random direction of its own: texts are alike as far as they share words."""

    def __init__(self, profile: EmbeddingProfile) -> None:
        self.name = profile.name
        self.dimension = profile.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        sums = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\S+", text[:MAX_CHARACTERS].lower()):
                sums[row] += _direction(word, self.dimension)
        return unit(sums)

    def embed_windows(self, windows: Sequence[Sequence[str]]) -> Vectors:
        return self.embed(["\n".join(window) for window in windows])

    def term_vectors(self, words: Sequence[str]) -> Vectors:
        return self.embed(words)


@lru_cache(maxsize=4096)
def _direction(word: str, dimension: int) -> Vectors:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
