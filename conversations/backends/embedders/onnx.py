"""ONNX transformer models through fastembed, an optional extra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.core.exceptions import ImproperlyConfigured

from conversations.backends.embedders.contract import MAX_CHARACTERS, Vectors, checked, written
from conversations.backends.embedders.profile import EmbeddingProfile
from conversations.backends.embedders.static import word_table


class FastEmbedEmbedder:
    """A local transformer; its files are fetched from a model hub on first use."""

    def __init__(self, profile: EmbeddingProfile) -> None:
        try:
            # An extra, and heavy: only where a profile asks for it.
            from fastembed import TextEmbedding  # noqa: PLC0415
        except ImportError as error:
            raise ImproperlyConfigured(
                f"Embedding profile {profile.name!r} needs the extra: pip install 'remembrancer[fastembed]'."
            ) from error
        self.name = profile.name
        self.dimension = profile.dimension
        try:
            self._model = TextEmbedding(model_name=profile.model)
        except ValueError as error:
            raise ImproperlyConfigured(f"fastembed has no model {profile.model!r}: {error}") from error

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), np.float32)
        if filled := written(texts):
            computed = np.array(
                list(self._model.embed([texts[i][:MAX_CHARACTERS] for i in filled])), np.float32
            )
            rows[filled] = checked(computed, provider=self.name, shape=(len(filled), self.dimension))
        return rows

    def embed_windows(self, windows: Sequence[Sequence[str]]) -> Vectors:
        return self.embed(["\n".join(window) for window in windows])

    def term_vectors(self, words: Sequence[str]) -> Vectors:
        return word_table()(words)
