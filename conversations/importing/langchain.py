"""LangChain message histories: one row per line, `{id, session_id, message, created_at}`."""

from datetime import datetime
from typing import Any

from conversations.exceptions import Invalid
from conversations.importing.files import RawLine
from conversations.importing.foreign import (
    a_name,
    a_name_or_none,
    an_object,
    message_of,
    nested_json,
    nested_object,
)
from conversations.importing.identity import identity, identity_of_line
from conversations.importing.moments import moment_of, role_of
from conversations.importing.records import ImportedMessage, Record
from conversations.inputs import JSONObject

# Fields of LangChain that a message of ours does not have: they go into its metadata.
_KEPT = (
    "tool_calls",
    "invalid_tool_calls",
    "tool_call_id",
    "additional_kwargs",
    "artifact",
    "status",
    "example",
)


def records(tree: Any, line: RawLine, now: datetime) -> list[Record]:
    """The one message of a row."""
    row = an_object(tree, "")
    session = a_name(row.get("session_id"), "session_id")
    message = an_object(nested_json(row.get("message"), "message"), "message")
    # `messages_to_dict` nests the fields below `data`; `model_dump` leaves them beside the type.
    data = an_object(message.get("data", message), "message.data")
    fields = _fields(message.get("type"), data)
    if row.get("created_at") is not None:
        fields["created_at"] = moment_of(row["created_at"], "created_at")
    source_id = a_name_or_none(row.get("id"), "id")
    name = source_id or fields["external_id"]
    return [
        ImportedMessage(
            origin=line.origin,
            key=identity("message", session, name) if name else identity_of_line("message", line),
            source_id=source_id,
            session=session,
            customer=a_name_or_none(row.get("user_id"), "user_id"),
            given=message_of(fields, now),
        )
    ]


def _fields(kind: Any, data: JSONObject) -> JSONObject:
    role = data.get("role") if kind == "chat" else kind
    if isinstance(role, str):
        role = role.removesuffix("MessageChunk")
    kept = {name: data[name] for name in _KEPT if data.get(name)}
    response = nested_object(data.get("response_metadata"), "message.data.response_metadata") or {}
    content, attachments = _content(data.get("content"))
    return {
        "external_id": a_name_or_none(data.get("id"), "message.data.id"),
        "role": role_of(role, "message.type"),
        "name": a_name_or_none(data.get("name"), "message.data.name"),
        "content": content,
        "attachments": attachments,
        "model": a_name_or_none(
            response.get("model_name") or response.get("model"), "message.data.response_metadata"
        ),
        "usage": nested_object(data.get("usage_metadata"), "message.data.usage_metadata"),
        "metadata": kept or None,
    }


def _content(raw: Any) -> tuple[str | list[JSONObject], list[JSONObject] | None]:
    """Content and attachments, from a string or a list of parts; parts without text become attachments."""
    if isinstance(raw, str):
        return raw, None
    if not isinstance(raw, list):
        raise Invalid.field("message.data.content", "Must be text or a list.", code="wrong_type")
    texts = [part if isinstance(part, str) else part["text"] for part in raw if _is_text(part)]
    others = [{"kind": "file", "data": part} for part in raw if not _is_text(part)]
    content = texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]
    return content or "", others or None


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text"), str))
