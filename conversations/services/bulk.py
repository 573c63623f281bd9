"""Bulk changes in one transaction: all or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from conversations.exceptions import Held, naming
from conversations.inputs import MessagePatch, SessionIn, SessionPatch
from conversations.mirror.waking import wake
from conversations.models import Message, Session
from conversations.ports import lifecycle
from conversations.principals import Actor
from conversations.services.messages.changes import absence, annotate, delete_messages, raise_epoch
from conversations.services.messages.reading import read_messages, visible_messages
from conversations.services.sessions import create_session, delete_session, present_sessions, update_session
from conversations.tenancy import tenant_scope

Shown = Mapping[str, Any]

_ANNOTATE = """
    UPDATE conversations_message m
    SET intent = u.intent, intent_confidence = u.confidence, metadata = u.metadata, agent_responses = u.responses
    FROM unnest(%(ids)s::uuid[], %(intents)s::text[], %(confidences)s::float8[], %(metadata)s::jsonb[],
                %(responses)s::jsonb[]) AS u (id, intent, confidence, metadata, responses)
    WHERE m.tenant_id = %(tenant)s AND m.id = u.id
"""


@dataclass(frozen=True, kw_only=True)
class SessionChanges:
    create: Sequence[SessionIn] = ()
    update: Sequence[tuple[UUID, SessionPatch]] = ()
    delete: Sequence[UUID] = ()


@dataclass(frozen=True, kw_only=True)
class MessageChanges:
    update: Sequence[tuple[UUID, MessagePatch]] = ()
    delete: Sequence[UUID] = ()


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Created and updated rows in the order of the request, and the erasure cases of deleted ones."""

    created: Sequence[Shown] = ()
    updated: Sequence[Shown] = ()
    deleted: Sequence[UUID] = ()
    cases: Sequence[Shown] = ()


def change_sessions(*, tenant_id: UUID, changes: SessionChanges, actor: Actor) -> Changed:
    """Create, update and delete sessions, in this order, under the rules of the single calls."""
    with tenant_scope(tenant_id):
        created = [create_session(tenant_id=tenant_id, body=body)[0] for body in changes.create]
        updated = []
        for number, (session_id, patch) in enumerate(changes.update):
            with naming(f"update[{number}]"):
                updated.append(update_session(tenant_id=tenant_id, session_id=session_id, patch=patch))
        shown = present_sessions(tenant_id, [*created, *updated])
        cases = []
        for number, session_id in enumerate(changes.delete):
            with naming(f"delete[{number}]"):
                cases.append(delete_session(tenant_id=tenant_id, session_id=session_id, actor=actor))
    return Changed(
        created=shown[: len(created)], updated=shown[len(created) :], deleted=changes.delete, cases=cases
    )


def change_messages(*, tenant_id: UUID, changes: MessageChanges, actor: Actor) -> Changed:
    """Annotate and delete messages, in this order, under the rules of the single calls. One case for all deletes."""
    with tenant_scope(tenant_id):
        if changes.update:
            _annotate(tenant_id, changes.update)
        updated = {
            message["id"]: message
            for message in read_messages(tenant_id, list(dict.fromkeys(i for i, _ in changes.update)))
        }
        cases = []
        if changes.delete:
            case = delete_messages(
                tenant_id=tenant_id, message_ids=changes.delete, actor=actor, listed="delete"
            )
            cases.append(case)
    return Changed(
        updated=[updated[message_id] for message_id, _ in changes.update],
        deleted=changes.delete,
        cases=cases,
    )


def _annotate(tenant_id: UUID, patches: Sequence[tuple[UUID, MessagePatch]]) -> None:
    """All patches with one statement; several of one message follow each other."""
    rows = _locked(tenant_id, [message_id for message_id, _ in patches])
    if lifecycle().held_messages(tenant_id, list(rows)):
        raise Held("A legal hold covers one of these messages: it cannot be changed.")
    for number, (message_id, patch) in enumerate(patches):
        with naming(f"update[{number}]"):
            annotate(rows[message_id], patch)
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "ids": list(rows),
        "intents": [row.intent for row in rows.values()],
        "confidences": [row.intent_confidence for row in rows.values()],
        "metadata": [_json(row.metadata) for row in rows.values()],
        "responses": [_json(row.agent_responses) for row in rows.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(_ANNOTATE, values)
    raise_epoch(tenant_id, sorted({row.session_id for row in rows.values()}))
    transaction.on_commit(wake)


def _locked(tenant_id: UUID, message_ids: Sequence[UUID]) -> dict[UUID, Message]:
    """The messages by id, locked in the order of all changes to messages: sessions first, each by id."""
    wanted = visible_messages(tenant_id).filter(id__in=message_ids)
    sessions = Session.objects.for_tenant(tenant_id).filter(
        id__in=set(wanted.values_list("session_id", flat=True))
    )
    list(sessions.order_by("id").select_for_update().values_list("id"))
    rows = {row.id: row for row in wanted.order_by("id").select_for_update()}
    for number, message_id in enumerate(message_ids):
        if message_id not in rows:
            with naming(f"update[{number}]"):
                raise absence(tenant_id, message_id)
    return rows


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
