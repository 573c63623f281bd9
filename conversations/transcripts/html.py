"""A transcript as one self-contained HTML file."""

from collections.abc import Iterable
from datetime import UTC
from itertools import groupby
from typing import Any

from django.template.loader import render_to_string

from conversations.transcripts.parts import Transcript, TranscriptMessage, TranscriptSession
from conversations.transcripts.visible import visible
from conversations.transcripts.wording import (
    KINDS,
    ROLES,
    as_json,
    confidence,
    moment,
    outcome_facts,
    session_facts,
)

TEMPLATE = "transcripts/transcript.html"


def render_html(transcript: Transcript) -> str:
    """The document, with inline styles and inert: its own policy forbids scripts, requests and forms."""
    session = transcript.session
    context = {
        "heading": visible(session.heading),
        "is_runbook": session.is_runbook,
        "facts": shown_facts(session),
        "outcome": _shown(outcome_facts(session.outcome)) if session.outcome else [],
        "knowledge": visible(session.outcome.knowledge or "") if session.outcome else "",
        "days": [
            {"date": date, "messages": [shown_message(message) for message in messages]}
            for date, messages in groupby(transcript.messages, key=_date)
        ],
    }
    return render_to_string(TEMPLATE, context)


def shown_facts(session: TranscriptSession) -> list[tuple[str, str]]:
    """The facts about a session that a template shows."""
    return _shown(session_facts(session))


def shown_message(message: TranscriptMessage) -> dict[str, Any]:
    """A message as a template shows it: hidden characters made visible, results as readable JSON."""
    at = message.created_at.astimezone(UTC)
    return {
        "position": message.position,
        "role": message.role if message.role in ROLES else "tool",
        "speaker": ROLES.get(message.role, message.role),
        "name": visible(message.name or ""),
        "language": visible(message.language or ""),
        "instant": at.isoformat(),
        "moment": moment(at),
        "clock": f"{at:%H:%M:%S}",
        "intent": visible(message.intent or ""),
        "confidence": confidence(message),
        "model": visible(message.model or ""),
        "text": visible(message.text),
        "is_code": message.role == "tool",
        "calls": [(visible(call.name), visible(as_json(call.arguments))) for call in message.tool_calls],
        "attachments": [
            {
                "kind": KINDS.get(attachment.kind, attachment.kind),
                "uri": visible(attachment.uri or ""),
                "text": visible(attachment.text or ""),
                "data": "" if attachment.data is None else visible(as_json(attachment.data)),
            }
            for attachment in message.attachments
        ],
        "agents": [
            (visible(agent), visible(as_json(result)))
            for agent, result in (message.agent_responses or {}).items()
        ],
    }


def _date(message: TranscriptMessage) -> str:
    return f"{message.created_at.astimezone(UTC):%Y-%m-%d}"


def _shown(facts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(label, visible(value)) for label, value in facts]
