"""OpenAI-style conversations, one per line; tool calls and their outputs become messages too."""

from datetime import datetime
from typing import Any

from conversations.exceptions import Invalid
from conversations.importing.files import RawLine
from conversations.importing.foreign import (
    a_list,
    a_name,
    a_name_or_none,
    an_object,
    message_of,
    nested_object,
    session_of,
    text_of,
)
from conversations.importing.identity import identity
from conversations.importing.moments import moment_of, role_of
from conversations.importing.records import ImportedMessage, ImportedSession, Record
from conversations.inputs import JSONObject

# Reasoning is no part of what was said.
_LEFT_OUT = frozenset({"reasoning", "item_reference"})
_TEXT_PARTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_CALL_FIELDS = frozenset({"id", "created_at", "status", "object"})


def records(tree: Any, line: RawLine, now: datetime) -> list[Record]:
    """The session of a conversation, then its messages."""
    conversation = an_object(tree, "")
    source_id = a_name(conversation.get("id"), "id")
    metadata = dict(nested_object(conversation.get("metadata"), "metadata") or {})
    customer = a_name_or_none(metadata.pop("user_id", None), "metadata.user_id")
    created_at = moment_of(conversation.get("created_at"), "created_at")
    session = ImportedSession(
        origin=line.origin,
        key=identity("session", source_id),
        source_id=source_id,
        given=session_of(
            {
                "external_id": source_id,
                "customer_id": customer,
                "metadata": metadata,
                "created_at": created_at,
            },
            now,
        ),
    )
    messages: list[Record] = []
    for number, item in enumerate(a_list(conversation.get("items"), "items")):
        at = f"items[{number}]"
        fields = _message_fields(an_object(item, at), at)
        if fields is None:
            continue
        fields.setdefault("created_at", created_at)
        external_id = fields["external_id"]
        messages.append(
            ImportedMessage(
                origin=line.origin,
                key=identity("message", source_id, external_id or f"#{number}"),
                source_id=external_id,
                session=source_id,
                customer=customer,
                given=message_of(fields, now, f"{at}."),
            )
        )
    return [session, *messages]


def _message_fields(item: JSONObject, at: str) -> JSONObject | None:
    kind = item.get("type", "message")
    if not isinstance(kind, str):
        raise Invalid.field(f"{at}.type", "Must be text.", code="wrong_type")
    if kind in _LEFT_OUT:
        return None
    fields: JSONObject = {"external_id": a_name_or_none(item.get("id"), f"{at}.id")}
    if item.get("created_at") is not None:
        fields["created_at"] = moment_of(item["created_at"], f"{at}.created_at")
    if kind == "message":
        fields["role"] = role_of(item.get("role"), f"{at}.role")
        fields["content"], fields["attachments"] = _content(item.get("content"), f"{at}.content")
    elif kind.endswith(("_call", "_call_output", "_call_result")):
        fields |= _tool_fields(item, kind)
    else:
        raise Invalid.field(f"{at}.type", "Must be a message, a tool call or its output.")
    return fields


def _content(raw: Any, at: str) -> tuple[str | list[JSONObject], list[JSONObject] | None]:
    """Content and attachments: text parts are content; images, files and audio are attachments."""
    if raw is None or isinstance(raw, str):
        return raw or "", None
    texts: list[str] = []
    attachments: list[JSONObject] = []
    for number, part in enumerate(a_list(raw, at)):
        kind = an_object(part, f"{at}[{number}]").get("type")
        if isinstance(kind, str) and (field := _TEXT_PARTS.get(kind)):
            texts.append(_text(part.get(field), f"{at}[{number}].{field}"))
        else:
            attachments.append(_attachment(part))
    content = texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]
    return content or "", attachments or None


def _text(raw: Any, at: str) -> str:
    if not isinstance(raw, str):
        raise Invalid.field(at, "Must be text.", code="wrong_type")
    return raw


def _attachment(part: JSONObject) -> JSONObject:
    """By its URL where it has one, else with its data."""
    for name in ("image_url", "file_url"):
        address = part.get(name)
        if isinstance(address, str) and not address.startswith("data:"):
            return {"kind": "file", "uri": address, "data": {k: v for k, v in part.items() if k != name}}
    return {"kind": "file", "data": part}


def _tool_fields(item: JSONObject, kind: str) -> JSONObject:
    """A call or its output as a message of role `tool`; call id and status go into the metadata."""
    is_output = not kind.endswith("_call")
    said = item.get("output" if is_output else "arguments")
    if said is None:
        said = {name: value for name, value in item.items() if name not in _CALL_FIELDS | {"type"}}
    metadata = {"type": kind} | {k: item[k] for k in ("call_id", "status") if item.get(k) is not None}
    return {"role": "tool", "name": item.get("name"), "content": text_of(said), "metadata": metadata}
