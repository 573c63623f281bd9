"""Messages of an import: rows and triggers as for an append, but for many sessions with a few statements."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from conversations import ids, keyring
from conversations.importing import ImportedMessage
from conversations.importing.identity import is_uuid
from conversations.models import Session, Tombstone
from conversations.services.imports.ledger import Ledger
from conversations.services.late_arrivals import external_digest
from conversations.services.messages.contents import Prepared, key_owner
from conversations.services.messages.rows import (
    ARRAYS,
    COLUMNS,
    NewMessage,
    columns_of,
    encoded,
    new_message,
)
from conversations.services.sessions import name_customer
from conversations.statements import execute, overlapping

_LOCK = """
    SELECT s.id, s.last_position, s.customer_id, c.external_id
    FROM conversations_session s
    LEFT JOIN conversations_customer c ON c.tenant_id = s.tenant_id AND c.id = s.customer_id
    WHERE s.tenant_id = %(tenant)s AND s.id = ANY (%(sessions)s) AND s.hidden_at IS NULL
    ORDER BY s.id FOR UPDATE OF s
"""
_KNOWN = """
    SELECT m.session_id, m.external_id, m.id FROM conversations_message m
    WHERE m.tenant_id = %(tenant)s AND m.session_id = ANY (%(sessions)s)
      AND m.external_id = ANY (%(external_ids)s::text[]) AND m.hidden_at IS NULL
    UNION ALL
    SELECT NULL, NULL, m.id FROM conversations_message m
    WHERE m.tenant_id = %(tenant)s AND m.id = ANY (%(ids)s) AND m.hidden_at IS NULL
"""
_TOMBSTONES = """
    SELECT t.object_id, t.digest FROM conversations_tombstone t
    WHERE t.tenant_id = %(tenant)s AND t.kind = 'message'
      AND (t.digest = ANY (%(digests)b::bytea[]) OR t.object_id = ANY (%(ids)s))
"""
# Identifiers are passed as array literals: PostgreSQL has no arrays of arrays of different lengths.
_SELECTED = ", ".join("u.identifiers::bytea[]" if name == "identifiers" else f"u.{name}" for name in COLUMNS)
# A closed session stays closed: its messages are older than its end.
_INSERT = f"""
    WITH bumped AS (
        UPDATE conversations_session s
        SET last_position = s.last_position + b.count, message_count = s.message_count + b.count,
            last_message_at = GREATEST(s.last_message_at, b.newest), earliest_at = LEAST(s.earliest_at, b.oldest),
            intent_counts = CASE WHEN b.intents IS NULL THEN s.intent_counts
                                 ELSE merge_counts(s.intent_counts, b.intents) END,
            updated_at = now()
        FROM unnest(%(bumped)s::uuid[], %(counts)s::int[], %(newest)s::timestamptz[], %(oldest)s::timestamptz[],
                    %(intents)s::jsonb[]) AS b (id, count, newest, oldest, intents)
        WHERE s.tenant_id = %(tenant)s AND s.id = b.id)
    INSERT INTO conversations_message (tenant_id, session_id, customer_id, position, {", ".join(COLUMNS)})
    SELECT %(tenant)s, u.session_id, u.customer_id, u.position, {_SELECTED}
    FROM unnest(%(session)s::uuid[], %(customer)s::uuid[], %(position)s::int[], {ARRAYS})
        AS u (session_id, customer_id, position, {", ".join(COLUMNS)})
"""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session, locked."""

    id: UUID
    last_position: int
    customer_id: UUID | None
    customer: str | None


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A message, scrubbed, with the id of its session here."""

    record: ImportedMessage
    prepared: Prepared
    session_id: UUID


@dataclass
class StoreResult:
    """How many messages were stored, how many existed already, and which were refused, with code and detail."""

    stored: int = 0
    skipped: int = 0
    refused: list[tuple[ImportedMessage, str, str]] = field(default_factory=list)


def store_messages(
    tenant_id: UUID, ledger: Ledger, ready: Sequence[PreparedMessage], *, meanwhile: Callable[[], None]
) -> StoreResult:
    """Append the messages to their sessions, in order. None of them is in the ledger. Runs inside a tenant scope.

    `meanwhile` is called while PostgreSQL works.
    """
    result = StoreResult()
    if not ready:
        return result
    _name_customers(tenant_id, ready)
    sessions = _lock(tenant_id, {one.session_id for one in ready})
    existing, erased = _known(tenant_id, ready), _erased(tenant_id, ready)
    by_session: defaultdict[UUID, list[PreparedMessage]] = defaultdict(list)
    for one in ready:
        if (problem := _problem(tenant_id, one, sessions, erased)) is not None:
            result.refused.append((one.record, *problem))
            continue
        name = (one.session_id, one.record.given.external_id)
        known = existing.get(name) or existing.get(one.record.source_id)
        if known is not None:
            result.skipped += 1
            ledger.note(one.record.key, known)
            continue
        if one.record.given.external_id is not None:
            existing[name] = _PENDING  # a second one in this batch is skipped
        by_session[one.session_id].append(one)
    rows = _rows(tenant_id, ledger, sessions, by_session)
    if rows:
        with overlapping(meanwhile):
            execute(_INSERT, _values(tenant_id, sessions, rows))
            ledger.write()
    result.stored = sum(map(len, rows.values()))
    return result


_PENDING = UUID(int=0)


def _name_customers(tenant_id: UUID, ready: Sequence[PreparedMessage]) -> None:
    """Name the customer of sessions whose customer only a later line has."""
    named = {one.session_id: one.record.customer for one in ready if one.record.customer is not None}
    nameless = Session.objects.for_tenant(tenant_id).live().filter(id__in=list(named), customer__isnull=True)
    for session in nameless.order_by("id"):
        name_customer(session, named[session.id] or "")


def _lock(tenant_id: UUID, session_ids: set[UUID]) -> dict[UUID, OpenSession]:
    rows = execute(_LOCK, {"tenant": tenant_id, "sessions": sorted(session_ids)}).fetchall()
    return {row[0]: OpenSession(*row) for row in rows}


def _known(tenant_id: UUID, ready: Sequence[PreparedMessage]) -> dict[object, UUID]:
    """Existing messages, by session and external id, and by their own id."""
    named = [one for one in ready if one.record.given.external_id is not None]
    own = _own_ids(ready)
    if not named and not own:
        return {}
    values = {
        "tenant": tenant_id,
        "sessions": list({one.session_id for one in named}),
        "external_ids": [one.record.given.external_id for one in named],
        "ids": own,
    }
    return {
        str(object_id) if session_id is None else (session_id, external_id): object_id
        for session_id, external_id, object_id in execute(_KNOWN, values).fetchall()
    }


def _erased(tenant_id: UUID, ready: Sequence[PreparedMessage]) -> set[object]:
    """Messages that were deleted or erased, by the digests of their external ids and by their own ids."""
    if not Tombstone.objects.for_tenant(tenant_id).filter(kind="message").exists():
        return set()  # as in most imports; digests are not free
    digests = [digest for one in ready if (digest := _digest(tenant_id, one)) is not None]
    values = {"tenant": tenant_id, "digests": digests, "ids": _own_ids(ready)}
    rows = execute(_TOMBSTONES, values).fetchall()
    return {name for object_id, digest in rows for name in (str(object_id), bytes(digest or b""))}


def _own_ids(ready: Sequence[PreparedMessage]) -> list[UUID]:
    return [UUID(name) for one in ready if is_uuid(name := one.record.source_id)]


def _problem(
    tenant_id: UUID, one: PreparedMessage, sessions: Mapping[UUID, OpenSession], erased: set[object]
) -> tuple[str, str] | None:
    session = sessions.get(one.session_id)
    if session is None:
        return "erased", "Its session was deleted or erased; it cannot come back."
    if one.record.customer not in (None, session.customer):
        return "conflict", "Its session is another customer's."
    if erased and (one.record.source_id in erased or _digest(tenant_id, one) in erased):
        return "erased", "It was deleted or erased; it cannot come back."
    return None


def _rows(
    tenant_id: UUID,
    ledger: Ledger,
    sessions: Mapping[UUID, OpenSession],
    by_session: Mapping[UUID, Sequence[PreparedMessage]],
) -> dict[UUID, list[NewMessage]]:
    owners = {
        session_id: key_owner(sessions[session_id].customer_id, session_id) for session_id in by_session
    }
    keys = keyring.sealing_keys(tenant_id, owners.values())
    now = ids.now()
    rows: dict[UUID, list[NewMessage]] = {}
    for session_id, several in by_session.items():
        session, key = sessions[session_id], keys[owners[session_id]]
        rows[session_id] = []
        for position, one in enumerate(several, session.last_position + 1):
            at = one.record.given.created_at or now
            row = new_message(
                one.record.given,
                one.prepared,
                id=ids.new_id(at),
                at=at,
                tenant_id=tenant_id,
                session_id=session_id,
                key=key,
            )
            row.position = position
            rows[session_id].append(row)
            ledger.note(one.record.key, row.id)
    return rows


def _values(
    tenant_id: UUID, sessions: Mapping[UUID, OpenSession], rows: Mapping[UUID, Sequence[NewMessage]]
) -> dict[str, Any]:
    every = [row for several in rows.values() for row in several]
    intents = [Counter(row.intent for row in several if row.intent is not None) for several in rows.values()]
    return {
        "tenant": tenant_id,
        "bumped": list(rows),
        "counts": [len(several) for several in rows.values()],
        "newest": [max(row.created_at for row in several) for several in rows.values()],
        "oldest": [min(row.created_at for row in several) for several in rows.values()],
        "intents": [encoded(counts or None) for counts in intents],
        "session": [row.session_id for row in every],
        "customer": [sessions[row.session_id].customer_id for row in every],
        "position": [row.position for row in every],
        **columns_of(every),
    }


def _digest(tenant_id: UUID, one: PreparedMessage) -> bytes | None:
    external_id = one.record.given.external_id
    if external_id is None:
        return None
    return external_digest(tenant_id, "message", external_id, within=one.session_id)
