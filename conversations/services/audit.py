"""The audit trail: one event for one act, in the transaction of the act."""

from typing import Any
from uuid import UUID

import structlog
from psycopg.types.json import Jsonb

from conversations import ids, statements
from conversations.enums import Outcome
from conversations.principals import Actor

_INSERT = """
    INSERT INTO conversations_auditevent (id, created_at, tenant_id, actor, actor_kind, action, object_type, object_id,
        outcome, request_id, details)
    VALUES (%(id)s, %(created_at)s, %(tenant)s, %(actor)s, %(actor_kind)s, %(action)s, %(object_type)s, %(object_id)s,
        %(outcome)s, %(request_id)s, %(details)s)
"""


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
    """Write the event in the caller's transaction, so that it commits with the act; returns its id.

    `details` hold counts, ids and names of settings: never content, search words or external ids.
    """
    now = ids.now()
    event_id = ids.new_id(now)
    claimed = {"claimed": actor.claimed} if actor.claimed else {}
    values = {
        "id": event_id,
        "created_at": now,
        "tenant": tenant_id,
        "actor": actor.name,
        "actor_kind": actor.kind,
        "action": action,
        "object_type": object_type,
        "object_id": str(object_id) if object_id is not None else None,
        "outcome": outcome,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
        "details": Jsonb({**(details or {}), **claimed}),
    }
    statements.execute(_INSERT, values, using)
    return event_id
