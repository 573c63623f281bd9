"""Recall profiles: the weights of the features, chosen by measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "words": 1.0,
        "question_before": 0.6,
        "words_two_before": 0.3,
        "words_after": 0.3,
        "session": 1.1,
        "vector": 1.1,
        "phrases": 0.5,
        "session_date": 1.1,
        "named_speaker": 0.5,
        "temporal": 0.15,
        "ends_asking": -0.3,
        "second_person": -0.15,
        "proper_names": 0.7,
        "when": 0.4,
        "how_many": 0.6,
    }
)
"""Chosen on LoCoMo (Maharana et al. 2024); `benchmarks/recall_offline.py` says what they are worth."""


@dataclass(frozen=True)
class RecallProfile:
    """Weights by feature (see `ranking.features`), and how many candidates each engine is asked for."""

    name: str = "default"
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    similarity_floor: float = 0.3
    """Words whose vectors are no more alike than this (cosine) count as unrelated."""
    lexical_candidates: int = 200
    vector_candidates: int = 100


DEFAULT_PROFILE = RecallProfile()
