"""Legal holds: placed by one person, released by two, checked by everything that destroys data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection

from conversations import ids
from conversations.exceptions import Conflict, Invalid, NotFound
from conversations.inputs import require_text
from conversations.models import Session
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.customers import find_customer
from conversations.tenancy import tenant_scope
from retention.law import held_sql
from retention.models import LegalHold
from retention.services import locks
from retention.two_persons import person, require_another

# The tenant's holds as the law wants them: released ones end with their grace.
HOLDS = (
    "(SELECT customer_id, session_id, start_time, end_time, grace_until AS ends_at"
    " FROM retention_legalhold WHERE tenant_id = %(tenant)s)"
)

MESSAGE_HELD = held_sql(HOLDS, since="m.created_at", customer_id="m.customer_id", session_id="m.session_id")
MEMORY_HELD = held_sql(HOLDS, since="m.created_at", customer_id="m.customer_id")
SESSION_HELD = held_sql(
    HOLDS,
    since="coalesce(s.last_message_at, s.created_at)",
    began="least(s.earliest_at, s.created_at)",
    customer_id="s.customer_id",
    session_id="s.id",
)


@dataclass(frozen=True, kw_only=True)
class HoldScope:
    """What a hold is to cover: joined by AND, `[start_time, end_time)`; nothing at all means the tenant."""

    customer_id: str | None = None  # the customer's own external id
    session_id: UUID | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


def place_hold(*, tenant_id: UUID, scope: HoldScope, matter: str, reason: str, actor: Actor) -> LegalHold:
    """Freeze everything in scope, also what is written later; in force when this returns.

    NotFound for an unknown customer or session, Invalid for a span that is empty.
    """
    require_text(matter=matter, reason=reason)
    if scope.start_time is not None and scope.end_time is not None and scope.start_time >= scope.end_time:
        raise Invalid.field("end_time", "The period ends before it begins.", code="empty_span")
    with tenant_scope(tenant_id):
        locks.exclude_purges(tenant_id)
        now = ids.now()
        hold = LegalHold(
            id=ids.new_id(now),
            created_at=now,
            tenant_id=tenant_id,
            matter=matter.strip(),
            reason=reason.strip(),
            customer_id=_known_customer(tenant_id, scope.customer_id),
            session_id=_known_session(tenant_id, scope.session_id),
            start_time=scope.start_time,
            end_time=scope.end_time,
            placed_by=person(actor),
        )
        hold.save(force_insert=True)
        _record(hold, actor, "hold.placed")
    return hold


def release_hold(*, tenant_id: UUID, hold_id: UUID, reason: str, actor: Actor) -> LegalHold:
    """One step of a release: the first person asks for it, another one grants it; then a grace begins.

    SamePerson for the one who asked, Conflict for a hold that is released.
    """
    require_text(reason=reason)
    with tenant_scope(tenant_id):
        hold = LegalHold.objects.for_tenant(tenant_id).filter(id=hold_id).select_for_update().first()
        if hold is None:
            raise NotFound
        if hold.released_at is not None:
            raise Conflict("This hold is already released.")
        now = ids.now()
        if hold.release_requested_by is None:
            hold.release_requested_by, hold.release_requested_at = person(actor), now
            hold.release_reason = reason.strip()
            hold.save(update_fields=["release_requested_by", "release_requested_at", "release_reason"])
            _record(hold, actor, "hold.release_requested")
        else:
            hold.released_by = require_another(actor, hold.release_requested_by)
            hold.released_at, hold.grace_until = now, now + settings.HOLD_GRACE
            hold.grant_reason = reason.strip()
            hold.save(update_fields=["released_by", "released_at", "grace_until", "grant_reason"])
            _record(hold, actor, "hold.released")
    return hold


def held_messages(tenant_id: UUID, message_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the messages that a hold covers now. Runs inside a tenant scope."""
    return _held("conversations_message m", "m", MESSAGE_HELD, tenant_id, message_ids)


def held_sessions(tenant_id: UUID, session_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the sessions that a hold covers now, in whole or in part. Runs inside a tenant scope."""
    return _held("conversations_session s", "s", SESSION_HELD, tenant_id, session_ids)


def held_memories(tenant_id: UUID, memory_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the memories that a hold covers now. Runs inside a tenant scope."""
    return _held("conversations_memory m", "m", MEMORY_HELD, tenant_id, memory_ids)


def _held(table: str, row: str, condition: str, tenant_id: UUID, row_ids: Sequence[UUID]) -> set[UUID]:
    if not row_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {row}.id FROM {table}"
            f" WHERE {row}.tenant_id = %(tenant)s AND {row}.id = ANY (%(ids)s) AND {condition}",
            {"tenant": tenant_id, "ids": list(row_ids), "now": ids.now()},
        )
        return {row_id for (row_id,) in cursor.fetchall()}


def _known_customer(tenant_id: UUID, external_id: str | None) -> UUID | None:
    if external_id is None:
        return None
    if (customer := find_customer(tenant_id, external_id)) is None:
        raise NotFound("There is no such customer.")
    return customer.id


def _known_session(tenant_id: UUID, session_id: UUID | None) -> UUID | None:
    # A session that is hidden counts: what is being erased can still be evidence.
    if session_id is not None and not Session.objects.for_tenant(tenant_id).filter(id=session_id).exists():
        raise NotFound("There is no such session.")
    return session_id


def _record(hold: LegalHold, actor: Actor, action: str) -> None:
    # The matter may name people, so it is kept in the hold only.
    spans = {"start_time": hold.start_time, "end_time": hold.end_time}
    audit.record(
        tenant_id=hold.tenant_id,
        actor=actor,
        action=action,
        object_type="legal_hold",
        object_id=hold.id,
        details={
            "customer": str(hold.customer_id) if hold.customer_id else None,
            "session": str(hold.session_id) if hold.session_id else None,
            **{name: at.isoformat() if at else None for name, at in spans.items()},
        },
    )
