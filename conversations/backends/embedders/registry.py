"""One embedder per profile and process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.conf import settings

from conversations.backends.embedders.contract import Embedder
from conversations.backends.embedders.hashing import HashEmbedder
from conversations.backends.embedders.onnx import FastEmbedEmbedder
from conversations.backends.embedders.profile import EmbeddingProfile, Provider
from conversations.backends.embedders.remote import Endpoint, RemoteEmbedder
from conversations.backends.embedders.static import WordLlamaEmbedder

_loading = threading.Lock()
_loaded: dict[EmbeddingProfile, Embedder] = {}


def embedder_for(profile: EmbeddingProfile) -> Embedder:
    """The process's embedder for this profile, loaded at first use; `ImproperlyConfigured` if it cannot."""
    if profile not in _loaded:
        with _loading:
            if profile not in _loaded:
                _loaded[profile] = _BUILDERS[profile.provider](profile)
    return _loaded[profile]


def configured_profiles() -> tuple[EmbeddingProfile, ...]:
    """The profiles of `EMBEDDING_PROFILES`, the default one first."""
    return tuple(EmbeddingProfile.parse(setting) for setting in settings.EMBEDDING_PROFILES)


def _remote(profile: EmbeddingProfile) -> Embedder:
    endpoint = Endpoint(
        url=settings.EMBEDDING_ENDPOINT,
        api_key=settings.EMBEDDING_API_KEY,
        private_allowed=settings.ALLOW_PRIVATE_ENDPOINTS,
    )
    return RemoteEmbedder(profile, endpoint)


_BUILDERS: dict[Provider, Callable[[EmbeddingProfile], Embedder]] = {
    "wordllama": WordLlamaEmbedder,
    "fastembed": FastEmbedEmbedder,
    "openai": _remote,
    "hash": HashEmbedder,
}
