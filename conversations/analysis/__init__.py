"""What is computed once for each text: its words, and the features that ranking weighs."""

from conversations.analysis.features import TurnFeatures, analyse, decode_features, encode_features
from conversations.analysis.languages import STOP_WORDS
from conversations.analysis.tokens import lexemes, whole_lexemes

__all__ = [
    "STOP_WORDS",
    "TurnFeatures",
    "analyse",
    "decode_features",
    "encode_features",
    "lexemes",
    "whole_lexemes",
]
