"""The audit trail: one event for one act, in the transaction of the act."""

from typing import Any
from uuid import UUID

import structlog

from conversations import ids
from conversations.enums import Outcome
from conversations.models import AuditEvent
from conversations.principals import Actor


def record(
    *,
    tenant_id: UUID,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: UUID | str | None = None,
    outcome: Outcome = Outcome.OK,
    details: dict[str, Any] | None = None,
    using: str = "default",
) -> UUID:
    """Write the event; it stands or falls with the caller's transaction. Returns its id.

    `details` hold counts, ids and names of settings: never content, search words or external ids.
    """
    now = ids.now()
    claimed = {"claimed": actor.claimed} if actor.claimed else {}
    event = AuditEvent(
        id=ids.new_id(now),
        created_at=now,
        tenant_id=tenant_id,
        actor=actor.name,
        actor_kind=actor.kind,
        action=action,
        object_type=object_type,
        object_id=str(object_id) if object_id is not None else None,
        outcome=outcome,
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
        details={**(details or {}), **claimed},
    )
    event.save(force_insert=True, using=using)
    return event.id
