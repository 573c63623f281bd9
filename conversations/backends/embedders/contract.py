"""What every embedder promises, and the arithmetic they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from conversations.backends.values import StoreUnavailable

Vectors = NDArray[np.float32]
"""One row per text."""

MAX_CHARACTERS = 8_000
"""What is embedded of a text: about what the usual models read at most, even in Chinese."""

_NEGLIGIBLE = 1e-6


class BadVectors(StoreUnavailable):
    """The provider answered, but not with vectors of the profile's kind; nothing of the answer is used."""


class Embedder(Protocol):
    """Texts to float32 rows of unit length.

    A text without a single token (empty, blank) gives a row of zeros: it has no direction and is not to be
    stored. Raises `StoreUnavailable` when a remote provider does not answer, and its subclass `BadVectors`
    when it does so wrongly.
    """

    name: str
    dimension: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text."""
        ...

    def embed_windows(self, windows: Sequence[Sequence[str]]) -> Vectors:
        """One row per window: a turn after at most two earlier ones, oldest first."""
        ...

    def term_vectors(self, words: Sequence[str]) -> Vectors:
        """One row per single word, to compare words when ranking; cached, never a network call.

        The rows of one embedder compare with each other only, not with those of `embed`.
        """
        ...


def unit(rows: Vectors) -> Vectors:
    """Rows scaled to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > _NEGLIGIBLE, lengths, 1)).astype(np.float32, copy=False)


def checked(rows: Vectors, *, provider: str, shape: tuple[int, int]) -> Vectors:
    """The rows at unit length, or `BadVectors` that says what is wrong with them."""
    if rows.shape != shape:
        raise BadVectors(
            provider, f"expected {shape[0]} vectors of {shape[1]} numbers, got shape {rows.shape}"
        )
    if not np.isfinite(rows).all():
        raise BadVectors(provider, "a vector holds NaN or infinity")
    if (np.linalg.norm(rows, axis=1) <= _NEGLIGIBLE).any():
        raise BadVectors(provider, "a vector is zero")
    return unit(rows)


def written(texts: Sequence[str]) -> list[int]:
    """Indexes of the texts that hold more than blanks."""
    return [i for i, text in enumerate(texts) if text.strip()]
