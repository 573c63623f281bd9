"""Reading messages as agents see them: visible, unsealed, in one query each for rows, keys and processing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from conversations import ids, presenters
from conversations.enums import Role
from conversations.exceptions import Expired, NotFound
from conversations.models import Customer, Message, MirrorSink, Session
from conversations.ports import lifecycle
from conversations.querysets import MessageQuerySet
from conversations.services.late_arrivals import explain_absence
from conversations.services.messages.contents import unseal_messages


def get_session(tenant_id: UUID, session_id: UUID, **beside: Any) -> Session:
    """The session, if it is not hidden; NotFound or Erased otherwise. Runs inside a tenant scope.

    `beside` are expressions to be read in the same statement, as attributes of the session.
    """
    sessions = Session.objects.for_tenant(tenant_id).live().filter(id=session_id).select_related("customer")
    session = sessions.annotate(**beside).first()
    if session is None:
        explain_absence(tenant_id=tenant_id, object_id=session_id)
        raise NotFound
    return session


def visible_messages(tenant_id: UUID) -> MessageQuerySet[Message]:
    """The messages that agents of the tenant may see now."""
    return Message.objects.for_tenant(tenant_id).visible(lifecycle().expiry(tenant_id), ids.now())


def session_messages(session: Session) -> MessageQuerySet[Message]:
    """A session's visible messages. The span of its times prunes the partitions."""
    messages = visible_messages(session.tenant_id).filter(session_id=session.id)
    if session.last_message_at is None:
        return messages.none()
    newest = ids.floor_id(session.last_message_at).int | ((1 << 80) - 1)
    return messages.filter(id__gte=ids.floor_id(session.earliest_at), id__lte=UUID(int=newest))


def last_messages(session: Session, limit: int, *, include_system: bool) -> list[dict[str, Any]]:
    """The last `limit` messages, oldest first, without their `processing`."""
    messages = session_messages(session)
    if not include_system:
        messages = messages.exclude(role__in=(Role.SYSTEM, Role.DEVELOPER))
    rows = list(messages.order_by("-position")[:limit])
    customers = {session.customer_id: session.customer.external_id if session.customer else None}
    return present(session.tenant_id, rows[::-1], processing=False, customers=customers)


def get_message(tenant_id: UUID, message_id: UUID) -> dict[str, Any]:
    """One message; NotFound, Erased or Expired when an agent may not see it."""
    row = visible_messages(tenant_id).filter(id=message_id).select_related("customer").first()
    if row is None:
        explain_absence(tenant_id=tenant_id, object_id=message_id)
        if Message.objects.for_tenant(tenant_id).live().filter(id=message_id).exists():
            raise Expired
        raise NotFound
    return present(tenant_id, [row])[0]


def read_messages(tenant_id: UUID, message_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Those of the messages that are visible, in the order of the ids."""
    if not message_ids:
        return []
    rows = {row.id: row for row in visible_messages(tenant_id).filter(id__in=message_ids)}
    return present(tenant_id, [rows[i] for i in message_ids if i in rows])


def present(
    tenant_id: UUID,
    rows: Sequence[Message],
    *,
    processing: bool = True,
    customers: Mapping[UUID | None, str | None] | None = None,
) -> list[dict[str, Any]]:
    """Rows as the API shows them, with the original content. `customers` are those whose own ids are known."""
    if not rows:
        return []
    opened = unseal_messages(tenant_id, [(row.id, bytes(row.sealed)) for row in rows])
    if customers is None or not customers.keys() >= {row.customer_id for row in rows}:
        customers = external_ids(tenant_id, {row.customer_id for row in rows})
    answers = [
        presenters.message(
            row, content=content, attachments=attachments, customer=customers.get(row.customer_id)
        )
        for row, (content, attachments) in zip(rows, opened, strict=True)
    ]
    return with_processing(tenant_id, answers) if processing else answers


def external_ids(tenant_id: UUID, customer_ids: Iterable[UUID | None]) -> Mapping[UUID | None, str | None]:
    """The customers' own ids by ours."""
    wanted = {customer_id for customer_id in customer_ids if customer_id is not None}
    if not wanted:
        return {}
    return dict(Customer.objects.for_tenant(tenant_id).filter(id__in=wanted).values_list("id", "external_id"))


def with_processing(tenant_id: UUID, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with how far the mirrors have followed each, in one query."""
    if not messages:
        return messages
    pending: dict[UUID, set[int]] = {}
    keys = [UUID(str(message["id"])) for message in messages]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entity_id, sink, false FROM mirror_pending(%s) "
            f"UNION ALL SELECT NULL, id, true FROM {MirrorSink._meta.db_table} WHERE enabled",
            [keys],
        )
        rows = cursor.fetchall()
    in_use = {sink for _, sink, enabled in rows if enabled}
    for entity_id, sink, enabled in rows:
        if not enabled:
            pending.setdefault(entity_id, set()).add(sink)
    return [
        {**message, "processing": presenters.processing(pending, in_use, key)}
        for message, key in zip(messages, keys, strict=True)
    ]
