"""Labels and formatted values that both formats of a transcript share."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from conversations.transcripts.parts import TranscriptMessage, TranscriptOutcome, TranscriptSession

ROLES = {
    "system": "System",
    "developer": "Developer",
    "user": "User",
    "assistant": "Assistant",
    "tool": "Tool",
}
KINDS = {
    "transcription": "Transcription",
    "image_analysis": "Image analysis",
    "voice_pattern": "Voice pattern",
    "file": "File",
}
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """The two largest units that say something: `1 h 5 min`, `15 min`, `0.4 s`."""
    if seconds < 1:
        return f"{seconds:.2g} s"
    left, parts = round(seconds), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def confidence(message: TranscriptMessage) -> str:
    return "" if message.intent_confidence is None else f"{message.intent_confidence:.0%}"


def as_json(value: Any) -> str:
    """A value to read: indented JSON, text as it is."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def session_facts(session: TranscriptSession) -> list[tuple[str, str]]:
    """What is known of the session beside its words, as labels and values."""
    facts = {
        "Session": session.external_id or session.id,
        "Customer": session.customer_id,
        "Channel": session.channel,
        "Language": session.language,
        "Outlet": session.outlet_id,
        "Began": moment(session.created_at),
        "Closed": moment(session.closed_at) if session.closed_at else None,
    }
    return [(label, value) for label, value in facts.items() if value]


def outcome_facts(outcome: TranscriptOutcome) -> list[tuple[str, str]]:
    """How the session ended, in the order in which a runbook tells it."""
    resolution = outcome.resolution_seconds
    facts = {
        "Issue": outcome.issue_type,
        "Result": {True: "solved", False: "not solved", None: None}[outcome.success],
        "Entities": ", ".join(outcome.entities),
        "Tools": ", ".join(outcome.tools_used),
        "Resolution time": None if resolution is None else duration(resolution),
    }
    return [(label, value) for label, value in facts.items() if value]
