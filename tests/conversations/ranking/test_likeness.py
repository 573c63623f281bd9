"""Soft overlap of words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.analysis import analyse
from conversations.ranking import Question
from conversations.ranking.likeness import SAME_STEM, term_likeness
from tests.conversations.ranking.pools import vectors


def test_likeness_of_the_same_stem_is_one_whatever_its_form():
    likeness = term_likeness(Question.parse("dogs"), [analyse("a dog"), analyse("a bank")], 0.3, vectors)

    assert likeness.tolist() == [[SAME_STEM, 0]]


def test_likeness_is_the_rescaled_cosine_of_the_nearest_word():
    likeness = term_likeness(Question.parse("dog"), [analyse("bank puppy cat")], 0.3, vectors)

    assert likeness[0, 0] == pytest.approx((0.8 - 0.3) / 0.7)


def test_likeness_below_the_floor_is_none():
    assert term_likeness(Question.parse("dog"), [analyse("cat")], 0.3, vectors).tolist() == [[0]]


def test_likeness_of_different_stems_stays_below_one():
    def all_alike(words):
        return np.ones((len(words), 1), np.float32)

    likeness = term_likeness(Question.parse("dog"), [analyse("cat")], 0.3, all_alike)

    assert 0.99 < likeness[0, 0] < SAME_STEM


def test_likeness_without_vectors_knows_the_same_stem_only():
    turns = [analyse("dogs"), analyse("puppy"), analyse("")]

    assert term_likeness(Question.parse("dog cat"), turns, 0.3, None).tolist() == [[1, 0, 0], [0, 0, 0]]


@given(st.lists(st.text(alphabet="ab c", max_size=12), min_size=1, max_size=8))
def test_likeness_finds_exact_terms_in_every_turn(texts):
    likeness = term_likeness(Question.parse("b c"), [analyse(text) for text in texts], 0.3, None)

    assert likeness.tolist() == [[float(term in text.split()) for text in texts] for term in "bc"]
