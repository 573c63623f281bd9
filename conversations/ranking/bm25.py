"""BM25 as Lucene computes it, over a handful of documents with their own statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

K1 = 0.9
B = 0.4

Floats = NDArray[np.float64]


def idf(documents: int, containing: Floats) -> Floats:
    """Inverse document frequency in Lucene's form: never negative, even for a term in every document."""
    return np.log1p((documents - containing + 0.5) / (containing + 0.5))


def bm25(counts: Floats, lengths: Floats) -> Floats:
    """One score per document from its counts of the query terms (documents, terms) and its length."""
    mean = max(float(lengths.mean()), 1e-9) if len(lengths) else 1.0
    damping = K1 * (1 - B + B * lengths / mean)
    weights = idf(len(counts), (counts > 0).sum(axis=0).astype(np.float64))
    scores: Floats = (counts * (K1 + 1) / (counts + damping[:, None])) @ weights
    return scores
