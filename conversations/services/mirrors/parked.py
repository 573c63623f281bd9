"""Parked mirror events: refused too often, shown to people, and retried on request."""

from uuid import UUID

from django.db import transaction

from conversations import ids
from conversations.mirror.waking import wake
from conversations.models import MirrorEvent
from conversations.principals import Actor
from conversations.services import audit
from conversations.tenancy import tenant_scope

SHOWN = 100


def parked_events(tenant_id: UUID) -> list[MirrorEvent]:
    """The tenant's oldest parked events."""
    rows = MirrorEvent.objects.using("ops").filter(tenant_id=tenant_id, parked_at__isnull=False)
    return list(rows.order_by("id")[:SHOWN])


def retry_parked(*, tenant_id: UUID, actor: Actor) -> int:
    """Reset the tenant's parked events so that the drain tries them again; returns how many."""
    with tenant_scope(tenant_id):
        rows = MirrorEvent.objects.using("ops").filter(tenant_id=tenant_id, parked_at__isnull=False)
        count = rows.update(parked_at=None, attempts=0, next_at=ids.now())
        audit.record(
            tenant_id=tenant_id,
            actor=actor,
            action="mirror.retried",
            object_type="mirror_event",
            details={"events": count},
        )
        transaction.on_commit(wake)
    return count
