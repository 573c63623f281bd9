"""Reads conversations of other systems, and our own exports, as a stream of validated records. Stores nothing."""

from conversations.importing.reading import Format, read_records
from conversations.importing.records import (
    ImportedCustomer,
    ImportedMemory,
    ImportedMessage,
    ImportedPortrait,
    ImportedPreferences,
    ImportedSession,
    ImportedSummary,
    LineError,
    Origin,
    Record,
    SessionEnd,
)
from conversations.importing.sqlite import DEFAULT_MAPPING, Mapping, parse_mapping

__all__ = [
    "DEFAULT_MAPPING",
    "Format",
    "ImportedCustomer",
    "ImportedMemory",
    "ImportedMessage",
    "ImportedPortrait",
    "ImportedPreferences",
    "ImportedSession",
    "ImportedSummary",
    "LineError",
    "Mapping",
    "Origin",
    "Record",
    "SessionEnd",
    "parse_mapping",
    "read_records",
]
