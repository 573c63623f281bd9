"""The default: WordLlama's static token vectors, from inside its wheel, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from django.core.exceptions import ImproperlyConfigured

from conversations.backends.embedders.contract import MAX_CHARACTERS, Vectors, unit
from conversations.backends.embedders.profile import EmbeddingProfile
from conversations.backends.embedders.terms import TermTable

_TEXTS_AT_ONCE = 256


class WordLlamaEmbedder:
    """A text is the mean of its tokens' vectors; English in effect."""

    def __init__(self, profile: EmbeddingProfile) -> None:
        self.name = profile.name
        self.dimension = profile.dimension
        self._model = _load(profile.model, profile.dimension)
        self.terms = TermTable(self._embed_words, self.dimension)

    def embed(self, texts: Sequence[str]) -> Vectors:
        sums = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            batch = [text.strip()[:MAX_CHARACTERS] for text in texts[start : start + _TEXTS_AT_ONCE]]
            encoded = self._model.tokenizer.encode_batch(batch, add_special_tokens=False)
            for row, tokens in enumerate(encoded, start):
                sums[row] = self._model.embedding[tokens.ids].sum(axis=0)
        return unit(sums)

    def embed_windows(self, windows: Sequence[Sequence[str]]) -> Vectors:
        """Unit vectors of the summed unit vectors of the turns; each distinct turn is embedded once."""
        place = {
            turn: i for i, turn in enumerate(dict.fromkeys(turn for window in windows for turn in window))
        }
        turns = self.embed(list(place))
        sums = np.zeros((len(windows), self.dimension), np.float32)
        for row, window in enumerate(windows):
            sums[row] = turns[[place[turn] for turn in window]].sum(axis=0)
        return unit(sums)

    def term_vectors(self, words: Sequence[str]) -> Vectors:
        """Rows of zeros for words that are not in ASCII."""
        return self.terms(words)

    def _embed_words(self, words: Sequence[str]) -> Vectors:
        # The vocabulary spells other scripts in bytes, and words that share bytes would look related.
        return self.embed([word if word.isascii() else "" for word in words])


@cache
def _load(model: str, dimension: int) -> Any:
    # Importing costs half a second and loading 50 MB: only for the processes that embed. The import also
    # calls logging.basicConfig, which does nothing once Django has configured logging.
    import wordllama  # noqa: PLC0415

    try:
        # Without its own folder as cache the library misses the tokenizer in its wheel and downloads another.
        loaded = wordllama.WordLlama.load(
            model, cache_dir=Path(wordllama.__file__).parent, trunc_dim=dimension, disable_download=True
        )
    except (AttributeError, ValueError, FileNotFoundError) as error:
        raise ImproperlyConfigured(
            f"wordllama has no model {model!r} of dimension {dimension}: {error}"
        ) from error
    # Padding would make every text of a batch as long as the longest.
    loaded.tokenizer.no_padding()
    return loaded


@cache
def word_table() -> TermTable:
    """The default model's table of words, for providers that have none of their own."""
    return WordLlamaEmbedder(EmbeddingProfile("wordllama", "l2_supercat", 256)).terms
