"""Searching conversations as staff: masked, and recorded in the audit trail."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db.models import Q

from conversations import ids
from conversations.models import Message, MessageIndex, Session
from conversations.principals import Actor
from conversations.querysets import LiveQuerySet
from conversations.ranking import DEFAULT_PROFILE
from conversations.services import audit
from conversations.services.customers import find_customer
from conversations.services.messages.reading import visible_messages
from conversations.services.recall.pipeline import RecallQuery, find, find_among
from conversations.services.recall.search import scrubbed_query
from conversations.tenancy import tenant_scope

SHOWN = 50  # conversations that a search by words answers
SNIPPETS = 3  # passages shown of each
NEWEST = 2_000  # matching messages that PostgreSQL ranks, where it searches by itself


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """Search criteria, joined by AND; `words` are searched in scrubbed text."""

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

    def scans(self) -> bool:
        """Whether rows have to be scanned, because no index serves all criteria."""
        return any((self.intent, self.language, self.channel, self.outlet, self.status))

    def narrows(self) -> bool:
        """Whether there is a criterion that a search by words has to judge by itself."""
        return self.scans() or bool(self.external_id)

    def names(self) -> list[str]:
        """The names of the criteria that were given, without their values."""
        return sorted(name for name, value in asdict(self).items() if value)


@dataclass(frozen=True)
class Match:
    """A conversation with the passages that were found in it, scrubbed."""

    session: Session
    passages: Sequence[Message]


def sessions_like(tenant_id: UUID, criteria: Criteria) -> LiveQuerySet[Session]:
    """Conversations that meet every criterion but the words. Runs inside a tenant scope."""
    plain = {
        "language": criteria.language,
        "channel": criteria.channel,
        "outlet_id": criteria.outlet,
        "status": criteria.status,
    }
    sessions = sessions_near(tenant_id, criteria).live().select_related("customer")
    sessions = sessions.filter(**{name: value for name, value in plain.items() if value})
    return sessions.filter(_has_intent(criteria.intent)) if criteria.intent else sessions


def sessions_near(tenant_id: UUID, criteria: Criteria) -> LiveQuerySet[Session]:
    """Sessions that meet the indexed criteria; the others are applied to these."""
    sessions = Session.objects.for_tenant(tenant_id)
    if criteria.external_id:
        sessions = sessions.filter(external_id=criteria.external_id)
    if criteria.customer:
        customer = find_customer(tenant_id, criteria.customer)
        sessions = sessions.filter(customer=customer) if customer else sessions.none()
    if criteria.start:
        sessions = sessions.filter(id__gte=ids.floor_id(criteria.start))
    if criteria.end:
        sessions = sessions.filter(id__lt=ids.floor_id(criteria.end))
    return sessions


@dataclass(frozen=True)
class Matches:
    """The best conversations for some words."""

    found: Sequence[Match] = ()
    degraded: Sequence[str] = ()  # stores that did not answer
    has_more: bool = False  # than were ranked
    # Of how many matching messages the other criteria were judged; None for all.
    looked_through: int | None = None
    newest: int | None = None  # of how many of the newest messages these are the best; None for all


def search_words(*, tenant_id: UUID, criteria: Criteria, actor: Actor) -> Matches:
    """Conversations that match words; records one audit event for the search."""
    with tenant_scope(tenant_id):
        customer = find_customer(tenant_id, criteria.customer) if criteria.customer else None
        if criteria.customer and customer is None:
            record_search(tenant_id=tenant_id, criteria=criteria, actor=actor)
            return Matches()
        sought = RecallQuery(
            tenant_id=tenant_id,
            query=scrubbed_query(tenant_id, criteria.words),
            mode="text",  # officers expect the words to appear in the results
            memories=False,
            customer_id=customer.id if customer else None,
            start=criteria.start,
            end=criteria.end,
            newest=NEWEST,
        )
        if criteria.narrows():
            found, has_more = find_among(sought, most=NEWEST, keep=partial(_meeting, tenant_id, criteria))
        else:
            found, has_more = find(sought), False
        matches = _matches(tenant_id, criteria, [hit.id for hit in found.ranked])
        record_search(tenant_id=tenant_id, criteria=criteria, actor=actor)
    return Matches(
        matches,
        found.degraded,
        has_more=has_more or len(found.ranked) >= DEFAULT_PROFILE.lexical_candidates,
        looked_through=NEWEST if has_more else None,
        newest=NEWEST if found.stores == ["postgresql"] else None,
    )


def record_search(*, tenant_id: UUID, criteria: Criteria, actor: Actor) -> None:
    """Record who searched by which kinds of criteria, but not for what."""
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action="conversations.searched",
        object_type="session",
        details={"criteria": criteria.names()},
    )


def _meeting(tenant_id: UUID, criteria: Criteria, message_ids: Collection[UUID]) -> set[UUID]:
    """The messages whose session meets the other criteria, which are not in the stores."""
    rows = MessageIndex.objects.for_tenant(tenant_id).filter(message_id__in=message_ids)
    session_of = dict(rows.values_list("message_id", "session_id"))
    sessions = sessions_like(tenant_id, criteria).filter(id__in=set(session_of.values()))
    meeting = set(sessions.values_list("id", flat=True))
    return {message_id for message_id, session_id in session_of.items() if session_id in meeting}


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
