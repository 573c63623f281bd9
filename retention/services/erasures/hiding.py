"""The first step of every deletion: no agent sees the target from the moment this commits."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from conversations import ids
from conversations.enums import Reason
from conversations.models import Customer, Memory, Message, Session
from conversations.ports import Target
from conversations.services.holdings import messages_of, sessions_of
from conversations.services.late_arrivals import external_digest
from conversations.services.messages import windows
from retention.models import ErasureCase
from retention.services.holdings import archive_of

# Rows of one statement: its triggers join what changed with what was there, without an index.
BATCH = 1_000

_LEAVE_TOMBSTONES = """
    INSERT INTO conversations_tombstone
        (id, created_at, tenant_id, kind, object_id, session_id, digest, case_id, reason)
    SELECT u.id, %s, %s, u.kind, u.object_id, u.session_id, u.digest, %s, %s
    FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::bytea[])
        AS u (id, kind, object_id, session_id, digest)
"""
# Memories drawn from what this case erases, whoever they are about. Evidence elsewhere keeps a memory, without
# the sources that are gone.
_FORGET_SOURCES = """
    WITH touched AS (
        SELECT m.id, ARRAY(
            SELECT s FROM unnest(m.source_message_ids) s WHERE NOT EXISTS (
                SELECT FROM conversations_tombstone t WHERE t.tenant_id = m.tenant_id AND t.object_id = s)) AS left_over
        FROM conversations_memory m
        WHERE m.tenant_id = %(tenant)s AND m.hidden_at IS NULL AND m.source_message_ids <> '{}' AND EXISTS (
            SELECT FROM unnest(m.source_message_ids) s JOIN conversations_tombstone t ON t.object_id = s
            WHERE t.tenant_id = m.tenant_id AND t.case_id = %(case)s))
    UPDATE conversations_memory m SET source_message_ids = touched.left_over
    FROM touched WHERE m.tenant_id = %(tenant)s AND m.id = touched.id
    RETURNING m.id, cardinality(touched.left_over) = 0
"""


@dataclass(frozen=True, slots=True)
class HiddenRow:
    """What a tombstone says of one row."""

    kind: str  # customer, session, message, memory, archive
    object_id: UUID
    session_id: UUID | None = None
    digest: bytes | None = None


@contextmanager
def because(reason: Reason) -> Iterator[None]:
    """Mirror events that triggers write inside the block carry this reason."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.reason', true)")
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config('app.reason', %s, true)", [str(reason.value)])
        yield  # after an error the transaction is over, and its settings with it
        cursor.execute("SELECT set_config('app.reason', %s, true)", [before or ""])


def hide(case: ErasureCase, target: Target, *, reason: str) -> None:
    """Hide the target, leave tombstones for it and free its external ids. Runs inside a tenant scope.

    Locks are taken in the order of everything that ends messages: customer, sessions by id, messages.
    """
    tenant_id, at = case.tenant_id, case.created_at
    with because(Reason.ERASURE):
        sessions = _lock_sessions(tenant_id, target)
        hidden = _hide_messages(tenant_id, target, at)
        hidden += _hide_archive(tenant_id, target, at)
        if not target.message_ids:
            hidden += _hide_sessions(tenant_id, sessions, at)
        if target.customer_id is not None:
            hidden += _hide_memories(tenant_id, target.customer_id, at)
            hidden += _hide_customer(tenant_id, target.customer_id, at)
        leave_tombstones(case, hidden, reason=reason)
        leave_tombstones(case, _hide_derived(case, at), reason=reason)
        _forget_windows(tenant_id, [session.id for session in sessions])


def _forget_windows(tenant_id: UUID, session_ids: Sequence[UUID]) -> None:
    Session.objects.for_tenant(tenant_id).filter(id__in=session_ids).update(epoch=F("epoch") + 1)

    def forget() -> None:
        for session_id in session_ids:
            windows.forget(tenant_id, session_id)

    transaction.on_commit(forget)


def _lock_sessions(tenant_id: UUID, target: Target) -> list[Session]:
    """The target's sessions, or those around its messages; nobody appends to them until the transaction ends."""
    rows = sessions_of(tenant_id, target)
    if target.message_ids:
        around = messages_of(tenant_id, target).values("session_id")
        rows = Session.objects.for_tenant(tenant_id).filter(id__in=around)
    return list(rows.order_by("id").select_for_update())


def _hide_messages(tenant_id: UUID, target: Target, at: datetime) -> list[HiddenRow]:
    rows = messages_of(tenant_id, target).order_by("id").select_for_update()
    found = list(rows.values_list("id", "session_id", "external_id", "hidden_at"))
    seen = [message_id for message_id, _, _, hidden_at in found if hidden_at is None]
    for start in range(0, len(seen), BATCH):
        page = seen[start : start + BATCH]
        Message.objects.for_tenant(tenant_id).filter(id__in=page).update(hidden_at=at)
    if target.message_ids:
        _count_down(tenant_id, Counter(session_id for _, session_id, _, gone in found if gone is None))
    return [
        HiddenRow("message", message_id, session_id, _digest(tenant_id, "message", external_id, session_id))
        for message_id, session_id, external_id, _ in found
    ]


def _count_down(tenant_id: UUID, counts: Mapping[UUID, int]) -> None:
    for session_id, count in counts.items():
        session = Session.objects.for_tenant(tenant_id).filter(id=session_id)
        session.update(message_count=F("message_count") - count)


def _hide_archive(tenant_id: UUID, target: Target, at: datetime) -> list[HiddenRow]:
    rows = archive_of(tenant_id, target)
    found = list(rows.order_by("id").select_for_update().values_list("id", "session_id"))
    rows.filter(hidden_at__isnull=True).update(hidden_at=at)
    return [HiddenRow("archive", record_id, session_id) for record_id, session_id in found]


def _hide_sessions(tenant_id: UUID, sessions: Sequence[Session], at: datetime) -> list[HiddenRow]:
    seen = [session.id for session in sessions if session.hidden_at is None]
    Session.objects.for_tenant(tenant_id).filter(id__in=seen).update(hidden_at=at, message_count=0)
    return [
        HiddenRow("session", session.id, None, _digest(tenant_id, "session", session.external_id))
        for session in sessions
    ]


def _hide_memories(tenant_id: UUID, customer_id: UUID, at: datetime) -> list[HiddenRow]:
    rows = Memory.objects.for_tenant(tenant_id).filter(customer_id=customer_id)
    found = list(rows.order_by("id").select_for_update().values_list("id", flat=True))
    rows.filter(hidden_at__isnull=True).update(hidden_at=at)
    return [HiddenRow("memory", memory_id) for memory_id in found]


def _hide_customer(tenant_id: UUID, customer_id: UUID, at: datetime) -> list[HiddenRow]:
    """Clear the name: nothing else known about the customer can be found without it."""
    rows = Customer.objects.for_tenant(tenant_id).filter(id=customer_id)
    (external_id,) = rows.values_list("external_id", flat=True)
    rows.update(external_id=None, language=None, metadata={}, identifiers=[], erased_at=at)
    return [HiddenRow("customer", customer_id, None, _digest(tenant_id, "customer", external_id))]


def _hide_derived(case: ErasureCase, at: datetime) -> list[HiddenRow]:
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_SOURCES, {"tenant": case.tenant_id, "case": case.id})
        orphans = [memory_id for memory_id, is_orphan in cursor.fetchall() if is_orphan]
    Memory.objects.for_tenant(case.tenant_id).filter(id__in=orphans).update(hidden_at=at)
    return [HiddenRow("memory", memory_id) for memory_id in orphans]


def _digest(tenant_id: UUID, kind: str, external_id: str | None, within: UUID | None = None) -> bytes | None:
    return None if external_id is None else external_digest(tenant_id, kind, external_id, within=within)


def leave_tombstones(case: ErasureCase, hidden: Sequence[HiddenRow], *, reason: str) -> None:
    """Leave a tombstone for each: readers get 410, late arrivals are refused, stores are asked for its id."""
    if not hidden:
        return
    columns: list[Any] = [
        ids.new_ids(case.created_at, len(hidden)),
        [row.kind for row in hidden],
        [row.object_id for row in hidden],
        [row.session_id for row in hidden],
        [row.digest for row in hidden],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_LEAVE_TOMBSTONES, [case.created_at, case.tenant_id, case.id, reason, *columns])
