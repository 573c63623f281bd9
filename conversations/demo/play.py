"""Plays one screenplay with one customer: a session with its messages and their times."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from conversations.demo.agents import agent_responses
from conversations.demo.records import (
    DemoAttachment,
    DemoCustomer,
    DemoMessage,
    DemoOutcome,
    DemoSession,
    Json,
)
from conversations.demo.script import Line, Note, Pause, Script, Setting
from conversations.demo.stage import Pools, Stage, Value, seeded
from conversations.demo.trades import Trade

TOOL_TIME = (0.4, 3.5)
PERSON_TIME = (40.0, 240.0)
ATTACHMENTS = {"image": "image_analysis", "voice": "transcription", "timbre": "voice_pattern", "file": "file"}


@dataclass(slots=True)
class Performance:
    """The state of one session while it is played; `slots` carries over to a sequel."""

    trade: Trade
    script: Script
    customer: DemoCustomer
    begins_at: datetime
    telling: int
    pools: Pools
    inherited: Mapping[str, Value] = field(default_factory=dict)
    key: str = field(init=False)
    rng: random.Random = field(init=False)
    stage: Stage = field(init=False)
    headers: dict[str, str] = field(init=False)
    clock: datetime = field(init=False)
    messages: list[DemoMessage] = field(init=False, default_factory=list)
    last_user: Line | None = field(init=False, default=None)
    turn: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.key = f"{self.trade.slug}/{self.script.slug}/{self.telling}"
        self.rng = seeded(self.key)
        language = self.script.headers.get("language", "en")
        slots: dict[str, Value] = {**self.inherited, "me": self.customer.facts}
        self.stage = Stage(self.rng, self.pools, self.begins_at, language, self.telling, slots)
        self.headers = dict(self.script.headers)
        self.clock = self.begins_at

    @property
    def external_id(self) -> str:
        return f"{self.trade.prefix}-{hashlib.sha256(self.key.encode()).hexdigest()[:12]}"

    def session(self) -> DemoSession:
        """The session as played."""
        self.stage.set_up(self.script.lets)
        title = self.stage.say(self.headers["title"])
        for beat in self.stage.play(self.script.beats):
            self._take(beat)
        name, confidence = self.headers["primary"].split()
        return DemoSession(
            external_id=self.external_id,
            customer=self.customer.external_id,
            channel=self.headers.get("channel") or self.rng.choice(self.trade.channels),
            language=self.stage.language,
            outlet_id=self.customer.facts.get("outlet_id"),
            title=title,
            intents={"primary": name, "confidence": self._jittered(float(confidence))},
            context=dict(self.trade.context),
            created_at=self.begins_at,
            messages=tuple(self.messages),
            outcome=self._outcome(),
        )

    def _take(self, beat: Line | Setting | Pause) -> None:
        match beat:
            case Setting(key, value):
                self.headers[key] = value
            case Pause(length):
                self.clock += length
            case Line():
                self._speak(beat)

    def _speak(self, line: Line) -> None:
        text = self.stage.say(line.text)
        notes = tuple(Note(note.key, self.stage.say(note.value)) for note in line.notes)
        self.clock += self._delay(line)
        if line.role == "user":
            self.turn += 1
            self.last_user = line
        self.messages.append(self._message(line, text, notes))

    def _message(self, line: Line, text: str, notes: tuple[Note, ...]) -> DemoMessage:
        is_reply = line.role == "assistant" and line.name is None
        return DemoMessage(
            external_id=f"{self.external_id}-{len(self.messages) + 1:03}",
            role=line.role,
            content=text,
            created_at=self.clock,
            name=line.name,
            intent=line.intent if line.role == "user" else None,
            intent_confidence=None if line.confidence is None else self._jittered(line.confidence),
            language=self.stage.language,
            turn_id=f"{self.external_id}-t{self.turn}" if self.trade.turns and self.turn else None,
            model=self.trade.models[len(text) > 90 and -1] if is_reply else None,
            usage=self._usage(text) if is_reply else None,
            agent_responses=self._agents(notes) if is_reply and self.trade.agents else None,
            attachments=tuple(_attachment(note) for note in notes if note.key in ATTACHMENTS),
            metadata=_metadata(notes),
        )

    def _delay(self, line: Line) -> timedelta:
        if line.role == "tool":
            return timedelta(seconds=self.rng.uniform(*TOOL_TIME))
        if line.role == "user":
            return self.trade.answer_after * self.rng.uniform(0.2, 1.6) if self.messages else timedelta()
        span = PERSON_TIME if line.name else self.trade.reply_after
        return timedelta(seconds=self.rng.uniform(*span)) if self.messages else timedelta()

    def _jittered(self, confidence: float) -> float:
        return round(min(0.99, max(0.05, confidence + self.rng.uniform(-0.05, 0.05))), 2)

    def _usage(self, text: str) -> Json:
        asked = sum(len(message.content) for message in self.messages[-12:])
        return {"input_tokens": 210 + asked // 3, "output_tokens": 6 + len(text) // 3}

    def _agents(self, notes: tuple[Note, ...]) -> Json:
        products = [
            value for value in self.stage.slots.values() if isinstance(value, Mapping) and "sku" in value
        ]
        return agent_responses(self.last_user, notes, [product["sku"] for product in products], self.rng)

    def _outcome(self) -> DemoOutcome | None:
        if "success" not in self.headers:
            return None
        told = {key: self.stage.say(value) for key, value in self.headers.items()}
        return DemoOutcome(
            success=told["success"] == "yes",
            issue_type=told.get("issue"),
            entities=_listed(told.get("entities")),
            tools_used=_listed(told.get("tools")),
            resolution_seconds=int((self.clock - self.begins_at).total_seconds()),
            knowledge=told.get("knowledge"),
        )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def _attachment(note: Note) -> DemoAttachment:
    """`text | {"json": ..}`; a file is known by its name alone."""
    if note.key == "file":
        return DemoAttachment(kind="file", uri=f"s3://attachments/{note.value}")
    text, _, data = note.value.partition(" | ")
    known = msgspec.json.decode(data, type=dict[str, object]) if data else None
    return DemoAttachment(kind=ATTACHMENTS[note.key], text=text, data=known)


def _metadata(notes: tuple[Note, ...]) -> Json | None:
    """Tool calls as the model made them (`call: tool {arguments}`) and anything noted under `meta`."""
    metadata: dict[str, object] = {}
    calls = [note.value.partition(" ") for note in notes if note.key == "call"]
    if calls:
        metadata["tool_calls"] = [
            {"name": name, "arguments": msgspec.json.decode(arguments or "{}")}
            for name, _, arguments in calls
        ]
    for note in notes:
        if note.key.startswith("meta."):
            metadata[note.key.removeprefix("meta.")] = note.value
    return metadata or None
