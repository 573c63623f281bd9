"""Request bodies of the demo's records: only what was said, nothing null."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from conversations.demo.records import DemoHold, DemoMemory, DemoMessage, DemoSession


def session_body(session: DemoSession, dated_from: datetime) -> dict[str, Any]:
    """`POST /sessions`; the metadata says that it is a sample, and from which moment its age was counted."""
    body = _said(session, without={"customer", "messages", "outcome"})
    body["customer_id"] = session.customer
    body["metadata"] = {"sample": True, "dated_from": dated_from}
    return body


def messages_body(session: DemoSession) -> dict[str, Any]:
    """`POST /sessions/{id}/messages`, the whole session at once."""
    return {"messages": [message_body(message) for message in session.messages]}


def message_body(message: DemoMessage) -> dict[str, Any]:
    body = _said(message, without={"attachments"})
    if message.attachments:
        body["attachments"] = [_said(attachment, without=set()) for attachment in message.attachments]
    return body


def close_body(session: DemoSession) -> dict[str, Any]:
    return {"outcome": _said(session.outcome, without=set())} if session.outcome else {}


def memory_body(memory: DemoMemory) -> dict[str, Any]:
    body = _said(memory, without={"customer"})
    return body | {"customer_id": memory.customer} if memory.customer else body


def hold_body(hold: DemoHold) -> dict[str, Any]:
    body = _said(hold, without={"customer", "release_reason"})
    return body | {"customer_id": hold.customer} if hold.customer else body


def _said(record: Any, without: set[str]) -> dict[str, Any]:
    given = {field.name: getattr(record, field.name) for field in fields(record) if field.name not in without}
    return {name: value for name, value in given.items() if value not in (None, (), "")}
