"""Finding conversations as staff do: masked, and with a trace."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from conversations import ids
from conversations.models import Message, Session
from conversations.principals import Actor
from conversations.querysets import LiveQuerySet
from conversations.services import audit
from conversations.services.customers import find_customer
from conversations.services.reading import visible_messages
from conversations.services.recall import Sought, find
from conversations.services.searching import scrubbed_query
from conversations.tenancy import tenant_scope

SHOWN = 50  # conversations that a search by words answers
SNIPPETS = 3  # passages shown of each


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What somebody looks for. Joined by AND; `words` are looked for in scrubbed text."""

    words: str = ""
    customer: str = ""
    external_id: str = ""
    intent: str = ""
    language: str = ""
    channel: str = ""
    outlet: str = ""
    status: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def names(self) -> list[str]:
        """Which were given; never what."""
        return sorted(name for name, value in asdict(self).items() if value)


@dataclass(frozen=True)
class Match:
    """A conversation with the passages that were found in it, scrubbed."""

    session: Session
    passages: Sequence[Message]


def sessions_like(tenant_id: UUID, criteria: Criteria) -> LiveQuerySet[Session]:
    """Conversations that meet every criterion but the words. Runs inside a tenant scope."""
    sessions = Session.objects.for_tenant(tenant_id).live().select_related("customer")
    plain = {
        "external_id": criteria.external_id,
        "language": criteria.language,
        "channel": criteria.channel,
        "outlet_id": criteria.outlet,
        "status": criteria.status,
    }
    sessions = sessions.filter(**{name: value for name, value in plain.items() if value})
    if criteria.intent:
        sessions = sessions.filter(_has_intent(criteria.intent))
    if criteria.customer:
        customer = find_customer(tenant_id, criteria.customer)
        sessions = sessions.filter(customer=customer) if customer else sessions.none()
    if criteria.start:
        sessions = sessions.filter(id__gte=ids.floor_id(criteria.start))
    if criteria.end:
        sessions = sessions.filter(id__lt=ids.floor_id(criteria.end))
    return sessions


def search_words(*, tenant_id: UUID, criteria: Criteria, actor: Actor) -> tuple[list[Match], Sequence[str]]:
    """The best conversations for the words, and which stores did not answer. The search leaves an event."""
    with tenant_scope(tenant_id):
        customer = find_customer(tenant_id, criteria.customer) if criteria.customer else None
        if criteria.customer and customer is None:
            record_search(tenant_id=tenant_id, criteria=criteria, actor=actor)
            return [], ()
        found = find(
            Sought(
                tenant_id=tenant_id,
                query=scrubbed_query(tenant_id, criteria.words),
                mode="text",  # an officer expects the words in what is found
                memories=False,
                customer_id=customer.id if customer else None,
                start=criteria.start,
                end=criteria.end,
            )
        )
        matches = _matches(tenant_id, criteria, [hit.id for hit in found.ranked])
        record_search(tenant_id=tenant_id, criteria=criteria, actor=actor)
    return matches, found.degraded


def record_search(*, tenant_id: UUID, criteria: Criteria, actor: Actor) -> None:
    """That somebody searched, and by what kind of criteria: not for what."""
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action="conversations.searched",
        object_type="session",
        details={"criteria": criteria.names()},
    )


def _matches(tenant_id: UUID, criteria: Criteria, message_ids: Sequence[UUID]) -> list[Match]:
    rows = {row.id: row for row in visible_messages(tenant_id).filter(id__in=message_ids)}
    passages: dict[UUID, list[Message]] = {}
    for message_id in message_ids:
        if (row := rows.get(message_id)) is not None:
            passages.setdefault(row.session_id, []).append(row)
    sessions = {s.id: s for s in sessions_like(tenant_id, criteria).filter(id__in=list(passages))}
    best = [session_id for session_id in passages if session_id in sessions][:SHOWN]
    return [Match(sessions[session_id], passages[session_id][:SNIPPETS]) for session_id in best]


def _has_intent(intent: str) -> Q:
    """What the session was opened for, or what any of its turns was taken for: counted in its own row."""
    return Q(intents__primary=intent) | Q(intent_counts__has_key=intent)
