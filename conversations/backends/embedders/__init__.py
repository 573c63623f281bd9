"""Turns text into vectors: one `Embedder` per embedding profile, local or remote."""

from conversations.backends.embedders.contract import BadVectors, Embedder, Vectors
from conversations.backends.embedders.profile import EmbeddingProfile
from conversations.backends.embedders.registry import configured_profiles, embedder_for

__all__ = ["BadVectors", "Embedder", "EmbeddingProfile", "Vectors", "configured_profiles", "embedder_for"]
