"""The HTML page of an export: everything held about a person, readable without tools."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
from django.template.loader import render_to_string

from conversations.transcripts.visible import visible
from conversations.transcripts.wording import ROLES

TEMPLATE = "exports/customer.html"
SPOKEN = ("messages", "archive")
_LATER = ("agent_responses", "attachments", "metadata", "usage")

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    title: str
    count: int
    records: Sequence[Sequence[tuple[str, str]]]


def render_page(customer: str, records: Mapping[str, Sequence[Record]], made_at: datetime) -> str:
    """The page, inert and with inline styles. `records` are those of each holding, already masked."""
    spoken = [one for name in SPOKEN for one in records.get(name, ())]
    context = {
        "customer": visible(customer),
        "made_at": f"{made_at:%Y-%m-%d %H:%M} UTC",
        "sections": [
            Section(_title(name), len(found), [_facts(one) for one in found] if name not in SPOKEN else [])
            for name, found in records.items()
        ],
        "conversations": list(_conversations(spoken)),
    }
    return render_to_string(TEMPLATE, context)


def _conversations(messages: Sequence[Record]) -> Iterator[dict[str, Any]]:
    ordered = sorted(messages, key=itemgetter("session_id", "position"))
    for session_id, found in groupby(ordered, key=itemgetter("session_id")):
        shown = [_message(message) for message in found]
        yield {"heading": f"Conversation of {shown[0]['moment'][:10]} ({session_id})", "messages": shown}


def _message(message: Record) -> dict[str, Any]:
    content = message["content"]
    text = "\n".join(part["text"] for part in content) if isinstance(content, list) else content
    return {
        "position": message["position"],
        "role": message["role"],
        "speaker": ROLES.get(message["role"], message["role"]),
        "name": visible(message.get("name") or ""),
        "instant": message["created_at"],
        "moment": message["created_at"].replace("T", " ")[:19] + " UTC",
        "text": visible(text) if text is not None else "(This text can no longer be opened.)",
        "more": [(_title(name), _value(message[name])) for name in _LATER if message.get(name)],
    }


def _facts(record: Record) -> list[tuple[str, str]]:
    return [
        (_title(name), _value(value)) for name, value in record.items() if value not in (None, "", [], {})
    ]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value)).decode()
    return visible(text)
