"""Vectors given by callers: refused unless they have the profile's dimension and a direction."""

from collections.abc import Sequence

import numpy as np

from conversations.backends.embedders import EmbeddingProfile, configured_profiles
from conversations.backends.values import Vector
from conversations.backends.vectors import flaw_of
from conversations.exceptions import Invalid
from conversations.mirror.profiles import served_profile


def named_profile(name: str | None) -> EmbeddingProfile:
    """The profile of that name; without one, the profile that is searched. Invalid for an unknown name."""
    if name is None:
        return served_profile()
    profiles = {profile.name: profile for profile in configured_profiles()}
    if name not in profiles:
        known = ", ".join(profiles)
        raise Invalid.field(
            "profile", f"There is no such embedding profile; there are {known}.", code="unknown_profile"
        )
    return profiles[name]


def unit_vector(embedding: Sequence[float], profile: EmbeddingProfile) -> Vector:
    """The embedding at unit length; Invalid when it is not one of the profile's."""
    with np.errstate(over="ignore"):  # a number too large becomes infinity, which is refused
        vector = np.array(embedding, np.float32)
    if flaw := flaw_of(vector, profile.dimension):
        raise Invalid.field("embedding", f"Not a vector of {profile.name}: {flaw}.", code="bad_vector")
    return vector / np.float32(np.linalg.norm(vector))
