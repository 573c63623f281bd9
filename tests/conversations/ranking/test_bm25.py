"""BM25 over a handful of documents."""

from __future__ import annotations

import numpy as np
import pytest

from conversations.ranking.bm25 import bm25, idf


def test_idf_is_lucenes():
    assert idf(3, np.array([1.0]))[0] == pytest.approx(np.log(1 + 2.5 / 1.5))
    assert idf(3, np.array([3.0]))[0] > 0


def test_bm25_of_one_term():
    scores = bm25(np.array([[2.0], [0.0]]), np.array([4.0, 2.0]))

    damping = 0.9 * (0.6 + 0.4 * 4 / 3)
    assert scores == pytest.approx([np.log(2) * 2 * 1.9 / (2 + damping), 0])


def test_bm25_prefers_the_shorter_of_two_documents():
    longer, shorter = bm25(np.array([[1.0], [1.0]]), np.array([9.0, 3.0]))

    assert shorter > longer


@pytest.mark.parametrize("shape", [(0, 2), (2, 0)])
def test_bm25_of_nothing_is_zero(shape):
    assert bm25(np.zeros(shape), np.ones(shape[0])).tolist() == [0] * shape[0]


def test_bm25_of_empty_documents_is_zero():
    assert bm25(np.zeros((2, 1)), np.zeros(2)).tolist() == [0, 0]
