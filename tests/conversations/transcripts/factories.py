"""Transcripts to render."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from conversations.transcripts import Transcript, TranscriptMessage, TranscriptOutcome, TranscriptSession

START = datetime(2026, 3, 1, 23, 59, 50, tzinfo=UTC)
OUTCOME = TranscriptOutcome(
    success=True,
    issue_type="stale_events",
    entities=("Paradise", "NYC-FW-02"),
    tools_used=("scc_query",),
    resolution_seconds=905,
    knowledge="Check the uplink first.",
)
SESSION = TranscriptSession(
    "s-1", START, external_id="case-7", customer_id="ops/1", channel="slack", language="en"
)
CLOSED = replace(SESSION, status="closed", closed_at=START + timedelta(minutes=15), outcome=OUTCOME)


def said(text: str, position: int = 1, role: str = "user", **fields: Any) -> TranscriptMessage:
    at = fields.pop("created_at", START + timedelta(seconds=15 * (position - 1)))
    return TranscriptMessage(position, role, text, at, **fields)


def transcript(*messages: TranscriptMessage, session: TranscriptSession = SESSION) -> Transcript:
    return Transcript(session, messages)
