"""Finds everything that mentions an identifier that a person gives, by its keyed hash."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from conversations import ids
from conversations.exceptions import Invalid
from conversations.inputs import require_text
from conversations.models import Customer, Memory, Message, Session
from conversations.pii import normalise_identifier
from conversations.ports import lifecycle
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.messages.contents import keyed_identifier
from conversations.tenancy import tenant_scope
from retention.models import ArchiveRecord
from retention.services.archive import readable_records

State = Literal["live", "beyond_use", "archived"]

LARGEST = 1_000  # of each kind; who is mentioned more often is found by less


@dataclass(frozen=True)
class Mention:
    """A message, a memory or an archive record that mentions the identifier, by its scrubbed text."""

    id: UUID
    state: State
    session_id: UUID | None
    customer_id: UUID | None
    text: str
    created_at: datetime


@dataclass(frozen=True)
class FindResult:
    customers: Sequence[Customer]
    sessions: Sequence[Session]
    messages: Sequence[Mention]
    memories: Sequence[Mention]
    truncated: bool


def find_person(*, tenant_id: UUID, identifier: str, reason: str, actor: Actor) -> FindResult:
    """What mentions an e-mail address, a phone, card or id number; audited with the reason, never with the identifier.

    Customers are those that are known by it and those whose messages mention it. Invalid when the text is no
    identifier.
    """
    require_text(reason=reason)
    meanings = normalise_identifier(None, identifier, region=settings.PII_REGION)
    if not meanings:
        detail = "Not an e-mail address, phone, card, account or id number."
        raise Invalid.field("identifier", detail, code="not_an_identifier")
    with tenant_scope(tenant_id):
        digests = [keyed_identifier(tenant_id, kind, value) for kind, value in meanings]
        found = _look(tenant_id, digests)
        audit.record(
            tenant_id=tenant_id,
            actor=actor,
            action="person.searched",
            object_type="tenant",
            object_id=tenant_id,
            details={
                "reason": reason.strip(),
                "kinds": sorted({kind for kind, _ in meanings}),
                "customers": len(found.customers),
                "sessions": len(found.sessions),
                "messages": len(found.messages),
            },
        )
    return found


def _look(tenant_id: UUID, digests: Sequence[bytes]) -> FindResult:
    mentions = Q(identifiers__overlap=list(digests))
    expiry, now = lifecycle().expiry(tenant_id), ids.now()
    rows = Message.objects.for_tenant(tenant_id).filter(mentions)
    visible = set(rows.visible(expiry, now).values_list("id", flat=True)[: LARGEST + 1])
    live = [_mention(row, "live" if row.id in visible else "beyond_use") for row in _newest(rows)]
    archive = readable_records(tenant_id).filter(mentions, hidden_at__isnull=True)
    archived = [_mention(row, "archived") for row in _newest(archive)]
    memories = [
        _mention(row, "live")
        for row in _newest(Memory.objects.for_tenant(tenant_id).current(now).filter(mentions))
    ]
    messages = sorted([*live, *archived], key=lambda mention: mention.id, reverse=True)
    named = {mention.customer_id for mention in (*messages, *memories)} - {None}
    customers = Customer.objects.for_tenant(tenant_id).filter(mentions | Q(id__in=named))
    sessions = Session.objects.for_tenant(tenant_id).filter(id__in={m.session_id for m in messages})
    return FindResult(
        customers=_newest(customers.filter(external_id__isnull=False)),
        sessions=_newest(sessions),
        messages=messages[:LARGEST],
        memories=memories,
        truncated=max(len(live), len(archived), len(memories), len(messages)) >= LARGEST,
    )


def _newest(rows: Any) -> list[Any]:
    return list(rows.order_by("-id")[:LARGEST])


def _mention(row: Message | ArchiveRecord | Memory, state: State) -> Mention:
    return Mention(
        id=row.id,
        state=state,
        session_id=getattr(row, "session_id", None),
        customer_id=row.customer_id,
        text=row.scrubbed,
        created_at=row.created_at,
    )
