"""Appending messages: one statement where nothing has to be looked up first, at most three otherwise.

Either way the statement is the same, for one message or a thousand: it bumps the session's counters, which locks the
session, and inserts the rows; triggers write the outbox inside it. What differs is what runs before it:

at once: nothing. The messages are sealed for the customer that this process last saw in the session; the statement
    commits by itself, and stores nothing if the customer has changed.
under the lock: set the tenant and lock the session -> [look up known external ids] -> store.

The Redis window and the mirror's wake-up come after the commit and may fail.

This path is hot: it speaks to psycopg directly, because Django's ORM would cost more than the statements themselves.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection, transaction

from conversations import ids, keyring, presenters
from conversations.backends.configured import window_store
from conversations.backends.values import WindowKey
from conversations.crypto import DataKeyMaterial
from conversations.enums import KeyOwner
from conversations.exceptions import Erased, Expired, KeyDestroyed, NotFound, TenantMissing
from conversations.inputs import MessageIn
from conversations.mirror.waking import wake
from conversations.services.late_arrivals import explain_absence, external_digest
from conversations.services.messages import windows
from conversations.services.messages.contents import Scrubber, key_owner, prepare
from conversations.services.messages.reading import read_messages
from conversations.services.messages.rows import (
    ARRAYS,
    COLUMNS,
    NewMessage,
    columns_of,
    encoded,
    new_message,
    values_of,
)
from conversations.services.messages.window_writer import writer
from conversations.statements import execute
from conversations.tenancy import tenant_scope

_LOCK = "SELECT customer_id FROM lock_session(%(tenant)s, %(session)s)"
_KNOWN = """
    SELECT external_id, id FROM conversations_message
    WHERE tenant_id = %(tenant)s AND session_id = %(session)s AND external_id = ANY (%(external_ids)s::text[])
      AND hidden_at IS NULL
    UNION ALL
    SELECT NULL, object_id FROM conversations_tombstone
    WHERE tenant_id = %(tenant)s AND digest = ANY (%(digests)b::bytea[])
"""
_SESSION = (
    "%(tenant)s, %(session)s, %(customer)s, %(unless_after)s::timestamptz,"
    " %(newest)s::timestamptz, %(oldest)s::timestamptz, %(intents)s::jsonb"
)
# As text, strings have no type of their own: one prepared statement serves whatever is missing in a message.
_VALUES = ", ".join(
    f"%({name})s::{'bytea[]' if name == 'identifiers' else kind}" for name, kind in COLUMNS.items()
)
_APPEND_ONE = f"SELECT before, epoch, customer FROM append_message({_SESSION}, {_VALUES})"
_APPEND_MANY = f"SELECT before, epoch, customer FROM append_messages({_SESSION}, {ARRAYS})"

SESSIONS = 50_000  # sessions whose customer a process remembers


@dataclass(frozen=True)
class Appended:
    """One message for each that was given, in order; `repeats` when every one of them had been stored before."""

    messages: list[dict[str, Any]]
    repeats: bool
    owner: tuple[KeyOwner, UUID]  # of the key that seals them


@dataclass(frozen=True, slots=True)
class Target:
    """The session that messages go to, and the customer for whom they are sealed."""

    tenant_id: UUID
    session_id: UUID
    customer_id: UUID | None

    @property
    def owner(self) -> tuple[KeyOwner, UUID]:
        return key_owner(self.customer_id, self.session_id)


# Sessions as this process last saw them. Only a guess: the statement checks it against the row.
_seen: dict[tuple[UUID, UUID], Target] = {}


def append_messages(*, tenant_id: UUID, session_id: UUID, given: Sequence[MessageIn]) -> Appended:
    """Store the messages at the end of the session; committed when this returns (unless a scope is open already).

    A message whose `external_id` the session holds is not stored again: the stored one stands in its place.
    NotFound or Erased when there is no such session, Erased or Expired when that is true of a message stored before.
    """
    return _append_at_once(tenant_id, session_id, given) or _append_under_lock(tenant_id, session_id, given)


def _append_at_once(tenant_id: UUID, session_id: UUID, given: Sequence[MessageIn]) -> Appended | None:
    """Store without a look-up first; None when one is needed or the guess was wrong: then nothing was stored."""
    target = _seen.get((tenant_id, session_id))
    if target is None or connection.in_atomic_block:
        return None
    if any(message.external_id is not None or message.created_at is not None for message in given):
        return None
    now = ids.now()
    try:
        # Within a session, time has to follow position.
        answers = _store(target, given, now, unless_after=now)
    except (TenantMissing, KeyDestroyed):  # the key is not cached, and no scope is open to read it in
        return None
    return None if answers is None else Appended(answers, repeats=False, owner=target.owner)


def _append_under_lock(tenant_id: UUID, session_id: UUID, given: Sequence[MessageIn]) -> Appended:
    locking = partial(execute, _LOCK, {"tenant": tenant_id, "session": session_id})
    with tenant_scope(tenant_id, opened_by=locking) as locked:
        target = _locked(tenant_id, session_id, locked)
        known = _known(target, given)
        repeated = read_messages(tenant_id, list(known.values()))
        if len(repeated) < len(known):
            raise Expired(
                "A message of this external id is past its period; it can be neither shown nor stored again."
            )
        fresh = _first_of_each(given, known)
        answers = _store(target, fresh, ids.now()) if fresh else []
        if answers is None:
            raise NotFound  # unreachable: the session is locked
        by_external_id = {m["external_id"]: m for m in (*repeated, *answers) if m["external_id"] is not None}
        anonymous = iter([a for a in answers if a["external_id"] is None])
        stored = [
            by_external_id[m.external_id] if m.external_id is not None else next(anonymous) for m in given
        ]
        return Appended(stored, repeats=not fresh, owner=target.owner)


def _locked(tenant_id: UUID, session_id: UUID, locked: "psycopg.Cursor[tuple[Any, ...]] | None") -> Target:
    row = locked.fetchone() if locked is not None else None
    if row is None:
        explain_absence(tenant_id=tenant_id, object_id=session_id)
        raise NotFound
    target = Target(tenant_id, session_id, *row)
    if len(_seen) >= SESSIONS:
        _seen.clear()
    _seen[tenant_id, session_id] = target
    return target


def _known(target: Target, given: Sequence[MessageIn]) -> dict[str, UUID]:
    """Ids of the messages that the session already holds, by external id."""
    external_ids = [message.external_id for message in given if message.external_id is not None]
    if not external_ids:
        return {}
    digests = [
        external_digest(target.tenant_id, "message", e, within=target.session_id) for e in external_ids
    ]
    values = {
        "tenant": target.tenant_id,
        "session": target.session_id,
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


def _store(
    target: Target, fresh: Sequence[MessageIn], now: datetime, *, unless_after: datetime | None = None
) -> list[dict[str, Any]] | None:
    """Store the messages; returns them as the API shows them, or None when the session did not take them."""
    key = keyring.sealing_key(target.tenant_id, *target.owner)
    rows = _rows(target, fresh, now, key)
    stored = _insert(target, rows, unless_after)
    if stored is None:
        return None
    before, epoch, customer = stored
    answers = []
    for position, (row, message) in enumerate(zip(rows, fresh, strict=True), before + 1):
        row.position = position
        answers.append(
            presenters.message(
                row, content=message.content, attachments=message.attachments, customer=customer
            )
        )
    _after_commit(target, key, epoch, answers)
    return answers


def _rows(
    target: Target, fresh: Sequence[MessageIn], now: datetime, key: DataKeyMaterial
) -> list[NewMessage]:
    scrubber = Scrubber(target.tenant_id)
    return [
        new_message(
            message,
            prepare(message.content, message.attachments, scrubber),
            id=ids.new_id(message.created_at) if message.created_at else own_id,
            at=message.created_at or now,
            tenant_id=target.tenant_id,
            session_id=target.session_id,
            key=key,
        )
        for message, own_id in zip(fresh, ids.new_ids(now, len(fresh)), strict=True)
    ]


def _insert(
    target: Target, rows: Sequence[NewMessage], unless_after: datetime | None
) -> tuple[Any, ...] | None:
    """The position before the first, the window's epoch and the customer's name; None: nothing was stored."""
    values: dict[str, Any] = {
        "tenant": target.tenant_id,
        "session": target.session_id,
        "customer": target.customer_id,
        "unless_after": unless_after,
        "newest": max(row.created_at for row in rows),
        "oldest": min(row.created_at for row in rows),
        "intents": encoded(Counter(row.intent for row in rows if row.intent is not None) or None),
    }
    if len(rows) == 1:
        return execute(_APPEND_ONE, values | values_of(rows[0])).fetchone()
    return execute(_APPEND_MANY, values | columns_of(rows)).fetchone()


def _after_commit(target: Target, key: DataKeyMaterial, epoch: int, answers: list[dict[str, Any]]) -> None:
    """Best effort, and outside the transaction: PostgreSQL already holds everything."""
    if window_store() is not None:
        entries = windows.seal_entries(target.tenant_id, target.session_id, key, answers)
        window = WindowKey(target.tenant_id, target.session_id)
        transaction.on_commit(partial(writer.push, window, epoch, entries))
    transaction.on_commit(wake)
