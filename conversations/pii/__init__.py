"""Finds personal data in text and JSON by pattern and checksum, offline and in linear time, and replaces it.

Names and addresses need a model and are not detected; an engine that has one can be added as a `Detector`.
"""

from conversations.pii.detectors import DETECTORS
from conversations.pii.engine import Scrubbed, find, scrub
from conversations.pii.identifiers import normalise_identifier
from conversations.pii.json_values import scrub_json
from conversations.pii.placeholders import Tag, numbered
from conversations.pii.values import Detector, Kind, Span

__all__ = [
    "DETECTORS",
    "Detector",
    "Kind",
    "Scrubbed",
    "Span",
    "Tag",
    "find",
    "normalise_identifier",
    "numbered",
    "scrub",
    "scrub_json",
]
