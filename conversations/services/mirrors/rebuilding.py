"""`rebuild_index` and `reembed`: rebuilds a store from PostgreSQL."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings

from conversations import ids
from conversations.backends.configured import window_store
from conversations.enums import Reason, Sink
from conversations.indexing.sources import sources
from conversations.mirror import outbox
from conversations.mirror.drain import drain_while
from conversations.mirror.verifying import verify
from conversations.models import MirrorEvent, MirrorSink, Session
from conversations.services.messages.windows import forget, read_window
from conversations.tenancy import tenant_scope

Advance = Callable[[str, int, int], None]


def rebuild_tenant(sink: Sink, tenant_id: UUID, advance: Advance) -> int:
    """Write a tenant's rows into the live indices again, and remove extra entries; returns how many rows.

    Indices are shared by all tenants, so there is nothing to switch: every entry is replaced where it is.
    """
    entities = MirrorSink.objects.using("ops").values_list("entities", flat=True).get(id=sink)
    total = sum(outbox.enqueue_all(sink, source, Reason.REBUILD, tenant_id) for source in sources(entities))

    def pending() -> bool:
        left = _pending(sink, tenant_id)
        advance(str(sink.label), max(total - left, 0), total)
        return left > 0

    drain_while(pending, sink)
    verify(sink, [tenant_id], repair=True, tell=lambda _: None)
    return total


def rebuild_windows(tenant_ids: Sequence[UUID], advance: Advance) -> int:
    """Fill the windows of the sessions that somebody may still be talking in; how many."""
    store = window_store()
    since = ids.now() - settings.WINDOW_TTL
    done = 0
    for tenant_id in tenant_ids:
        for key in list(store.keys(tenant_id)) if store is not None else ():
            forget(tenant_id, key.session_id)
        for session in _recent(tenant_id, since):
            read_window(session=session, limit=settings.WINDOW_SIZE)
            done += 1
            advance("windows", done, done)
    return done


def _pending(sink: Sink, tenant_id: UUID) -> int:
    events = MirrorEvent.objects.using("ops").filter(sink=sink, tenant_id=tenant_id, parked_at=None)
    return events.count()


def _recent(tenant_id: UUID, since: datetime) -> list[Session]:
    with tenant_scope(tenant_id):
        sessions = Session.objects.for_tenant(tenant_id).live().filter(last_message_at__gte=since)
        return list(sessions.select_related("customer").order_by("id"))
