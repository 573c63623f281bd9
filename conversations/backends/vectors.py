"""Checks for vectors: the stores themselves accept NaN and zeros and then return nonsense."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conversations.backends.values import Vector


def flaw_of(vector: Vector, dimension: int) -> str:
    """Why this vector cannot be stored or searched for; empty when it can."""
    if vector.shape != (dimension,):
        return f"dimension {vector.shape[-1] if vector.ndim == 1 else vector.shape}, not {dimension}"
    if not np.isfinite(vector).all():
        return "not finite"
    # Squares of very small or large components leave the range of float32, and the cosine with them.
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not 1e-6 < length < 1e6:
        return "no direction"
    return ""


def refuse_flaws(vectors: Sequence[Vector], dimension: int) -> None:
    """Raise ValueError for the first question that cannot be searched for."""
    for vector in vectors:
        if flaw := flaw_of(vector, dimension):
            raise ValueError(f"The question's vector cannot be searched for: {flaw}.")
