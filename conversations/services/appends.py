"""Appending messages: at most three statements, the same for one message or a thousand.

announce the tenant and lock the session -> [external ids already known] -> bump its counters and insert. The trigger
writes the outbox inside the insert; the Redis window and the mirror's wake-up come after the commit and may fail.

This path is hot: it speaks to psycopg directly, because Django's cursor binds parameters in Python and its ORM would
cost more than the statements themselves.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from django.db import connection, transaction
from psycopg.rows import tuple_row

from conversations import crypto, ids, keyring, presenters
from conversations.backends.values import WindowKey
from conversations.crypto import DataKeyMaterial
from conversations.exceptions import Erased, NotFound
from conversations.inputs import MessageIn
from conversations.mirror.waking import wake
from conversations.services import windows
from conversations.services.contents import Prepared, Scrubber, key_owner, message_aad, prepare
from conversations.services.idempotency import Shown
from conversations.services.late_arrivals import explain_absence, external_digest
from conversations.services.reading import read_messages
from conversations.services.window_writer import writer
from conversations.tenancy import tenant_scope

_LOCK = "SELECT last_position, customer_id, epoch, customer FROM lock_session(%(tenant)s, %(session)s)"
_KNOWN = """
    SELECT external_id, id FROM conversations_message
    WHERE tenant_id = %(tenant)s AND session_id = %(session)s AND external_id = ANY (%(external_ids)s::text[])
      AND hidden_at IS NULL
    UNION ALL
    SELECT NULL, object_id FROM conversations_tombstone
    WHERE tenant_id = %(tenant)s AND digest = ANY (%(digests)s::bytea[])
"""
COLUMNS = {
    "id": "uuid",
    "created_at": "timestamptz",
    "role": "text",
    "position": "int",
    "external_id": "text",
    "name": "text",
    "sealed": "bytea",
    "scrubbed": "text",
    "scrubbed_attachments": "text",
    "pii": "jsonb",
    "identifiers": "text",
    "language": "text",
    "intent": "text",
    "intent_confidence": "float8",
    "turn_id": "text",
    "model": "text",
    "usage": "jsonb",
    "agent_responses": "jsonb",
    "metadata": "jsonb",
    "occurred_at": "timestamptz",
}
_JSON = ("pii", "usage", "agent_responses", "metadata")
_BUMP_AND_INSERT = f"""
    WITH bumped AS (
        UPDATE conversations_session
        SET last_position = last_position + %(count)s, message_count = message_count + %(count)s,
            last_message_at = GREATEST(last_message_at, %(newest)s), earliest_at = LEAST(earliest_at, %(oldest)s),
            intent_counts = CASE WHEN %(intents)s::jsonb IS NULL THEN intent_counts
                                 ELSE merge_counts(intent_counts, %(intents)s::jsonb) END,
            status = 'open', closed_at = NULL, updated_at = now()
        WHERE tenant_id = %(tenant)s AND id = %(session)s)
    INSERT INTO conversations_message (tenant_id, session_id, customer_id, {", ".join(COLUMNS)})
    SELECT %(tenant)s, %(session)s, %(customer)s,"""
# An array of arrays of different lengths is no PostgreSQL array: in a batch, identifiers travel as array literals.
SELECTED = ", ".join("u.identifiers::bytea[]" if name == "identifiers" else f"u.{name}" for name in COLUMNS)
ARRAYS = ", ".join(f"%({name})s::{kind}[]" for name, kind in COLUMNS.items())
_INSERT_MANY = f"{_BUMP_AND_INSERT} {SELECTED} FROM unnest({ARRAYS}) AS u ({', '.join(COLUMNS)})"
# One row as plain values costs half of what it costs as twenty arrays of one.
_VALUES = ", ".join(
    f"%({name})s::{'bytea[]' if name == 'identifiers' else kind}" for name, kind in COLUMNS.items()
)
_INSERT_ONE = f"{_BUMP_AND_INSERT} {_VALUES}"


@dataclass(frozen=True)
class Appended:
    """One message for each that was given, in order; `repeats` when every one of them had been stored before."""

    messages: list[dict[str, Any]]
    repeats: bool
    shown: Shown


class NewMessage(msgspec.Struct):
    """A row about to be stored, and what its answer shows beside it."""

    id: UUID
    created_at: datetime
    session_id: UUID
    role: str
    position: int
    external_id: str | None
    name: str | None
    sealed: bytes
    scrubbed: str
    scrubbed_attachments: str
    pii: list[dict[str, Any]]
    identifiers: list[bytes]
    language: str | None
    intent: str | None
    intent_confidence: float | None
    turn_id: str | None
    model: str | None
    usage: dict[str, Any] | None
    agent_responses: dict[str, Any] | None
    metadata: dict[str, Any]
    occurred_at: datetime | None


@dataclass(frozen=True)
class OpenSession:
    """The session as it stands under our lock."""

    tenant_id: UUID
    id: UUID
    last_position: int
    customer_id: UUID | None
    epoch: int
    customer: str | None


def append_messages(*, tenant_id: UUID, session_id: UUID, given: Sequence[MessageIn]) -> Appended:
    """Store the messages at the end of the session; committed when this returns (unless a scope is open already).

    A message whose `external_id` the session holds is not stored again: the stored one stands in its place.
    NotFound or Erased when there is no such session, Erased when one of the external ids was erased.
    """
    locking = partial(execute, _LOCK, {"tenant": tenant_id, "session": session_id})
    with tenant_scope(tenant_id, opened_by=locking) as locked:
        session = _session(tenant_id, session_id, locked)
        known = _known(session, given)
        now = ids.now()  # after the lock: within a session, time follows position
        fresh = _first_of_each(given, known)
        rows, answers = _prepare(session, fresh, now)
        if rows:
            _insert(session, rows)
            _after_commit(session, answers)
        by_external_id = {a["external_id"]: a for a in answers if a["external_id"] is not None}
        by_external_id |= {m["external_id"]: m for m in read_messages(tenant_id, list(known.values()))}
        anonymous = iter([a for a in answers if a["external_id"] is None])
        stored = [
            by_external_id[m.external_id] if m.external_id is not None else next(anonymous) for m in given
        ]
        shown = Shown(*key_owner(session.customer_id, session.id), (session.id, *(m["id"] for m in stored)))
        return Appended(stored, repeats=not rows, shown=shown)


def _session(
    tenant_id: UUID, session_id: UUID, locked: "psycopg.Cursor[tuple[Any, ...]] | None"
) -> OpenSession:
    row = locked.fetchone() if locked is not None else None
    if row is None:
        explain_absence(tenant_id=tenant_id, object_id=session_id)
        raise NotFound
    return OpenSession(tenant_id, session_id, *row)


def _known(session: OpenSession, given: Sequence[MessageIn]) -> dict[str, UUID]:
    """Ids of the messages that the session already holds, by external id."""
    external_ids = [message.external_id for message in given if message.external_id is not None]
    if not external_ids:
        return {}
    digests = [external_digest(session.tenant_id, "message", e, within=session.id) for e in external_ids]
    values = {
        "tenant": session.tenant_id,
        "session": session.id,
        "external_ids": external_ids,
        "digests": digests,
    }
    rows = execute(_KNOWN, values).fetchall()
    if any(external_id is None for external_id, _ in rows):
        raise Erased("A message of this external id was deleted or erased; it cannot come back.")
    return dict(rows)


def _first_of_each(given: Sequence[MessageIn], known: Mapping[str, UUID]) -> list[MessageIn]:
    """What is to be stored: a repeat inside the batch counts once too."""
    seen = set(known)
    fresh = []
    for message in given:
        if message.external_id is not None:
            if message.external_id in seen:
                continue
            seen.add(message.external_id)
        fresh.append(message)
    return fresh


def _prepare(
    session: OpenSession, fresh: list[MessageIn], now: datetime
) -> tuple[list[NewMessage], list[dict[str, Any]]]:
    """Rows to insert and, beside each, its answer."""
    if not fresh:
        return [], []
    scrubber = Scrubber(session.tenant_id)
    key = keyring.sealing_key(session.tenant_id, *key_owner(session.customer_id, session.id))
    own_ids = iter(ids.new_ids(now, len(fresh)))
    rows, answers = [], []
    for position, message in enumerate(fresh, session.last_position + 1):
        message_id = ids.new_id(message.created_at) if message.created_at else next(own_ids)
        prepared = prepare(message.content, message.attachments, scrubber)
        row = new_message(
            message,
            prepared,
            id=message_id,
            at=message.created_at or now,
            position=position,
            session=session,
            key=key,
        )
        rows.append(row)
        answers.append(
            presenters.message(
                row, content=message.content, attachments=message.attachments, customer=session.customer
            )
        )
    return rows, answers


def new_message(
    given: MessageIn,
    prepared: Prepared,
    *,
    id: UUID,
    at: datetime,
    position: int,
    session: OpenSession,
    key: DataKeyMaterial,
) -> NewMessage:
    """The row of a message, sealed."""
    return NewMessage(
        id=id,
        created_at=at,
        session_id=session.id,
        role=given.role or "user",
        position=position,
        external_id=given.external_id,
        name=given.name,
        sealed=crypto.seal(prepared.plaintext, key=key, aad=message_aad(session.tenant_id, id)),
        scrubbed=prepared.scrubbed,
        scrubbed_attachments=prepared.scrubbed_attachments,
        pii=prepared.pii,
        identifiers=prepared.identifiers,
        language=given.language,
        intent=given.intent,
        intent_confidence=given.intent_confidence,
        turn_id=given.turn_id,
        model=given.model,
        usage=given.usage,
        agent_responses=given.agent_responses,
        metadata=given.metadata or {},
        occurred_at=given.occurred_at,
    )


def _insert(session: OpenSession, rows: Sequence[NewMessage]) -> None:
    values: dict[str, Any] = {
        "tenant": session.tenant_id,
        "session": session.id,
        "customer": session.customer_id,
        "count": len(rows),
        "newest": max(row.created_at for row in rows),
        "oldest": min(row.created_at for row in rows),
        "intents": encoded(Counter(row.intent for row in rows if row.intent is not None) or None),
    }
    if len(rows) == 1:
        one = {name: getattr(rows[0], name) for name in COLUMNS}
        execute(_INSERT_ONE, values | one | {name: encoded(one[name]) for name in _JSON})
        return
    execute(_INSERT_MANY, values | columns_of(rows))


def columns_of(rows: Sequence[NewMessage]) -> dict[str, list[Any]]:
    """The rows as an array for each column."""
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    for name in _JSON:
        columns[name] = [encoded(value) for value in columns[name]]
    columns["identifiers"] = [_array_literal(digests) for digests in columns["identifiers"]]
    return columns


def encoded(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _array_literal(digests: Sequence[bytes]) -> str:
    return "{" + ",".join(f'"\\\\x{digest.hex()}"' for digest in digests) + "}"


def _after_commit(session: OpenSession, answers: list[dict[str, Any]]) -> None:
    """Best effort, and outside the transaction: PostgreSQL already holds everything."""
    entries = windows.seal_entries(
        session.tenant_id, session.id, key_owner(session.customer_id, session.id), answers
    )

    def follow() -> None:
        writer.push(WindowKey(session.tenant_id, session.id), session.epoch, entries)
        wake()

    transaction.on_commit(follow)


def execute(query: str, values: Mapping[str, Any]) -> "psycopg.Cursor[tuple[Any, ...]]":
    """Run a statement prepared on the server, on the connection and in the transaction of the open scope."""
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection, row_factory=tuple_row)
        return cursor.execute(query, values, prepare=True)
