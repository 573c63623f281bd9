"""Embedders that need no network."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from django.core.exceptions import ImproperlyConfigured

from conversations.backends.embedders import EmbeddingProfile, embedder_for
from conversations.backends.embedders.contract import MAX_CHARACTERS

WORDLLAMA = EmbeddingProfile.parse("wordllama:l2_supercat:256")
HASH = EmbeddingProfile.parse("hash:words:64")


@pytest.fixture(params=[WORDLLAMA, HASH], ids=lambda profile: profile.provider)
def embedder(request):
    return embedder_for(request.param)


def test_rows_are_unit_float32(embedder):
    rows = embedder.embed(["A dog barks", "我要退款", "👍"])

    assert rows.shape == (3, embedder.dimension)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


@pytest.mark.parametrize("blank", ["", "   ", "\n"])
def test_blank_text_gives_zeros(embedder, blank):
    rows = embedder.embed(["dog", blank, "cat"])

    assert not rows[1].any()
    assert rows[[0, 2]].any(axis=1).all()


def test_nothing_gives_no_rows(embedder):
    assert embedder.embed([]).shape == (0, embedder.dimension)
    assert embedder.embed_windows([]).shape == (0, embedder.dimension)
    assert embedder.term_vectors([]).shape == (0, embedder.dimension)


def test_rows_do_not_depend_on_their_neighbours(embedder):
    alone = embedder.embed(["A dog barks"])

    together = embedder.embed(["x", "A dog barks", "a much longer text " * 50])

    assert together[1] == pytest.approx(alone[0], abs=1e-6)


def test_window_of_one_turn_is_that_turn(embedder):
    assert embedder.embed_windows([["A dog"]])[0] == pytest.approx(embedder.embed(["A dog"])[0], abs=1e-6)


def test_window_is_near_each_of_its_turns(embedder):
    (window,) = embedder.embed_windows([["The dog barks", "rain tomorrow", "cheese please"]])

    inside = embedder.embed(["The dog barks", "rain tomorrow", "cheese please"]) @ window
    outside = embedder.embed(["quarterly tax filing"]) @ window
    assert inside.min() > outside[0]


def test_term_vectors_repeat_themselves(embedder):
    first = embedder.term_vectors(["dog", "cat", "dog"])

    assert first[0] == pytest.approx(first[2])
    assert embedder.term_vectors(["cat"])[0] == pytest.approx(first[1])


def test_wordllama_window_sums_the_unit_vectors_of_turns():
    embedder = embedder_for(WORDLLAMA)

    windows = embedder.embed_windows([["a dog", "the rain in May", "a dog"], ["", "a dog"]])

    dog, rain = embedder.embed(["a dog", "the rain in May"])
    assert windows[0] == pytest.approx((2 * dog + rain) / np.linalg.norm(2 * dog + rain), abs=1e-6)
    assert windows[1] == pytest.approx(dog, abs=1e-6)


def test_wordllama_knows_what_words_mean():
    dog, puppy, invoice = embedder_for(WORDLLAMA).term_vectors(["dog", "puppy", "invoice"])

    assert dog @ puppy > 0.4 > dog @ invoice


def test_wordllama_does_not_compare_words_by_shared_bytes():
    assert not embedder_for(WORDLLAMA).term_vectors(["退款", "快递"]).any()


def test_wordllama_of_a_huge_text_reads_its_beginning():
    embedder = embedder_for(WORDLLAMA)

    beginning = "dogs " * (MAX_CHARACTERS // 5 - 1) + "dogs."

    cut, whole = embedder.embed([beginning, beginning + " invoice" * 50_000])

    assert whole == pytest.approx(cut)


@pytest.mark.parametrize("setting", ["wordllama:none_such:256", "wordllama:l2_supercat:255"])
def test_wordllama_without_such_a_model_says_so(setting):
    with pytest.raises(ImproperlyConfigured, match="wordllama has no model"):
        embedder_for(EmbeddingProfile.parse(setting))


def test_hash_likens_texts_by_shared_words():
    same, other = embedder_for(HASH).embed(["the black dog", "the black dog barks"]) @ (
        embedder_for(HASH).embed(["the black dog", "an invoice"]).T
    )

    assert same[0] == pytest.approx(1)
    assert other[0] > 0.5 > other[1]


def test_embedder_is_loaded_once():
    assert embedder_for(WORDLLAMA) is embedder_for(EmbeddingProfile.parse("wordllama:l2_supercat:256"))


@pytest.mark.skipif(importlib.util.find_spec("fastembed") is not None, reason="fastembed is installed")
def test_fastembed_without_the_extra_says_what_to_install():
    with pytest.raises(ImproperlyConfigured, match=r"remembrancer\[fastembed\]"):
        embedder_for(EmbeddingProfile.parse("fastembed:BAAI/bge-small-en-v1.5:384"))
