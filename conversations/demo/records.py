"""What a demo tenant consists of, field for field as the HTTP API takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DemoAttachment:
    kind: str
    text: str | None = None
    data: Json | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class DemoMessage:
    external_id: str
    role: str
    content: str
    created_at: datetime
    name: str | None = None
    intent: str | None = None
    intent_confidence: float | None = None
    language: str | None = None
    turn_id: str | None = None
    model: str | None = None
    usage: Json | None = None
    agent_responses: Json | None = None
    attachments: tuple[DemoAttachment, ...] = ()
    metadata: Json | None = None


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    success: bool
    issue_type: str | None = None
    entities: tuple[str, ...] = ()
    tools_used: tuple[str, ...] = ()
    resolution_seconds: int | None = None
    knowledge: str | None = None


@dataclass(frozen=True, slots=True)
class DemoSession:
    external_id: str
    customer: str
    channel: str
    language: str
    outlet_id: str | None
    title: str
    intents: Json
    context: Json
    created_at: datetime
    messages: tuple[DemoMessage, ...]
    outcome: DemoOutcome | None


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """A person (or an outlet's phone) spoken with; `facts` feed the scripts' slots and are not sent."""

    external_id: str
    language: str
    facts: Mapping[str, str]
    metadata: Json
    preferences: Json = field(default_factory=dict)
    portrait: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DemoMemory:
    external_id: str
    content: str
    kind: str
    customer: str | None = None
    expires_at: datetime | None = None
    metadata: Json | None = None


@dataclass(frozen=True, slots=True)
class DemoHold:
    """A legal hold; with `release_reason` one person has already asked for its release."""

    matter: str
    reason: str
    customer: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    release_reason: str | None = None


@dataclass(frozen=True, slots=True)
class DemoErasure:
    customer: str
    reason: str
    basis: str


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """One trade: everything that the loader sends, sessions oldest first; two officers share its compliance."""

    name: str
    officers: tuple[str, str]
    customers: tuple[DemoCustomer, ...]
    sessions: tuple[DemoSession, ...]
    memories: tuple[DemoMemory, ...]
    holds: tuple[DemoHold, ...] = ()
    erasures: tuple[DemoErasure, ...] = ()
    proposed_policy: Json | None = None
