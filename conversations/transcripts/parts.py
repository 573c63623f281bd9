"""The parts of a transcript, independent of rows and requests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class TranscriptOutcome:
    success: bool | None = None
    issue_type: str | None = None
    entities: tuple[str, ...] = ()
    tools_used: tuple[str, ...] = ()
    resolution_seconds: float | None = None
    knowledge: str | None = None


@dataclass(frozen=True, slots=True)
class TranscriptSession:
    id: str
    created_at: datetime
    external_id: str | None = None
    customer_id: str | None = None
    channel: str | None = None
    language: str | None = None
    outlet_id: str | None = None
    title: str | None = None
    status: str = "open"
    closed_at: datetime | None = None
    outcome: TranscriptOutcome | None = None

    @property
    def is_runbook(self) -> bool:
        return self.status == "closed" and self.outcome is not None and self.outcome.success is True

    @property
    def heading(self) -> str:
        """The best name that the session has."""
        issue = self.outcome.issue_type if self.outcome and self.is_runbook else None
        return self.title or issue or self.external_id or self.id


@dataclass(frozen=True, slots=True)
class Attachment:
    kind: str
    text: str | None = None
    data: Any = None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class TranscriptMessage:
    position: int
    role: str
    text: str
    created_at: datetime
    name: str | None = None
    language: str | None = None
    model: str | None = None
    intent: str | None = None
    intent_confidence: float | None = None
    agent_responses: Mapping[str, Any] | None = None
    attachments: tuple[Attachment, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    session: TranscriptSession
    messages: tuple[TranscriptMessage, ...]


def transcript_of(session: Mapping[str, Any], messages: Iterable[Mapping[str, Any]]) -> Transcript:
    """The transcript of a session and its messages as the API answers them."""
    outcome = session["outcome"]
    return Transcript(
        session=TranscriptSession(
            id=str(session["id"]),
            outcome=None if outcome is None else _outcome(outcome),
            **{name: session[name] for name in _SESSION_FIELDS},
        ),
        messages=tuple(message_of(message) for message in messages),
    )


_SESSION_FIELDS = (
    *("external_id", "customer_id", "channel", "language", "outlet_id", "title"),
    *("status", "created_at", "closed_at"),
)
_MESSAGE_FIELDS = (
    *("position", "role", "created_at", "name", "language", "model"),
    *("intent", "intent_confidence", "agent_responses"),
)


def _outcome(raw: Mapping[str, Any]) -> TranscriptOutcome:
    return TranscriptOutcome(
        success=raw.get("success"),
        issue_type=raw.get("issue_type"),
        entities=tuple(raw.get("entities") or ()),
        tools_used=tuple(raw.get("tools_used") or ()),
        resolution_seconds=raw.get("resolution_seconds"),
        knowledge=raw.get("knowledge"),
    )


def message_of(raw: Mapping[str, Any]) -> TranscriptMessage:
    """One message as the API answers it."""
    # Attachments are structs when a message was just stored and plain when it was read.
    attachments = msgspec.to_builtins(raw["attachments"]) or ()
    return TranscriptMessage(
        text=_text(msgspec.to_builtins(raw["content"])),
        attachments=tuple(Attachment(**attachment) for attachment in attachments),
        tool_calls=tuple(_tool_calls(raw["metadata"])),
        **{name: raw[name] for name in _MESSAGE_FIELDS},
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _tool_calls(metadata: Mapping[str, Any]) -> Iterable[ToolCall]:
    """The calls that a model's message asked for, as OpenAI's and LangChain's formats leave them in metadata."""
    calls = metadata.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function", call) if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            yield ToolCall(function["name"], function.get("arguments", function.get("args")))
