"""`POST /search`: hits read again from PostgreSQL, with neighbours and score parts if wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db.models import Q

from conversations import ids, keyring, presenters
from conversations.models import Memory
from conversations.querysets import MemoryQuerySet
from conversations.ranking import Ranked, highlight
from conversations.services.customers import find_customer
from conversations.services.memories.contents import open_memories
from conversations.services.messages.contents import Scrubber, plain_text
from conversations.services.messages.reading import external_ids, present, visible_messages
from conversations.services.recall.pipeline import Mode, RecallQuery, RecallResult, plan, weigh
from conversations.services.recall.stores import ask_stores
from conversations.tenancy import tenant_scope

SPARE = 20  # hits read beyond those that are missing


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    tenant_id: UUID
    query: str
    mode: Mode = "hybrid"
    scope: Sequence[Literal["messages", "memories"]] = ("messages", "memories")
    customer_id: str | None = None
    session_id: UUID | None = None
    role: str | None = None
    language: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    limit: int = 10
    neighbours: int = 0
    explain: bool = False


def search(request: SearchRequest) -> dict[str, Any]:
    """The answer to a search. Opens two tenant scopes of its own; between them the stores are asked."""
    found, hits = RecallResult.nothing(request.query), list[dict[str, Any]]()
    with tenant_scope(request.tenant_id):
        sought = _sought(request)
        asked = plan(sought) if sought else None
    if sought and asked:
        answers = ask_stores(asked)
        with tenant_scope(request.tenant_id):
            found = weigh(sought, asked, answers)
            hits = hydrate(sought, found, request.limit, request.neighbours, request.explain)
    return {
        "object": "list",
        "data": hits,
        "mode": request.mode,
        "stores": found.stores,
        "degraded": found.degraded,
    }


def scrubbed_query(tenant_id: UUID, query: str) -> str:
    """The query as it may leave PostgreSQL: personal data replaced by the same placeholders as in the mirrors."""
    with tenant_scope(tenant_id):
        return Scrubber(tenant_id)(query).text


def hydrate(
    sought: RecallQuery,
    found: RecallResult,
    limit: int,
    neighbours: int = 0,
    explain: bool = False,
    *,
    without: frozenset[UUID] = frozenset(),
    processing: bool = True,
) -> list[dict[str, Any]]:
    """The first `limit` hits that PostgreSQL confirms, in order; opens a tenant scope.

    With `processing` each message says how far the mirrors have followed it.
    """
    ranked = [hit for hit in found.ranked if hit.id not in without]
    hits: list[dict[str, Any]] = []
    with tenant_scope(sought.tenant_id):
        at = 0
        while at < len(ranked) and len(hits) < limit:
            # Nearly all are confirmed: those that are not are made up for by as many more, and some.
            chunk = ranked[at : at + (limit - len(hits)) + (SPARE if at else 0)]
            at += len(chunk)
            things = _things(sought, found, chunk, processing)
            kept = [hit for hit in chunk if hit.id in things][: limit - len(hits)]
            hits += [_shown(sought, found, hit, things[hit.id], neighbours, explain) for hit in kept]
    return hits


def _sought(request: SearchRequest) -> RecallQuery | None:
    """What to search for; None for an unknown customer. Runs inside a tenant scope."""
    customer = None
    if request.customer_id is not None:
        customer = find_customer(request.tenant_id, request.customer_id)
        if customer is None:
            return None
    # Memories have none of these, so none of them can keep such a filter.
    only_messages = request.session_id or request.role or request.language
    return RecallQuery(
        tenant_id=request.tenant_id,
        query=scrubbed_query(request.tenant_id, request.query),
        mode=request.mode,
        messages="messages" in request.scope,
        memories="memories" in request.scope and not only_messages,
        customer_id=customer.id if customer else None,
        customer=customer.external_id if customer else None,
        session_id=request.session_id,
        role=request.role,
        language=request.language,
        start=request.start_time,
        end=request.end_time,
    )


def _things(
    sought: RecallQuery, found: RecallResult, chunk: Sequence[Ranked], processing: bool
) -> Mapping[UUID, dict[str, Any]]:
    """Messages and memories of these hits, as they are now and if they may be seen."""
    message_ids = [hit.id for hit in chunk if hit.id not in found.memory_ids]
    memory_ids = [hit.id for hit in chunk if hit.id in found.memory_ids]
    things: dict[UUID, dict[str, Any]] = {}
    known: dict[UUID | None, str | None] = {None: None}
    if sought.customer is not None:
        known[sought.customer_id] = sought.customer
    if message_ids:
        rows = list(_confirmed(sought).filter(id__in=message_ids))
        shown = present(sought.tenant_id, rows, processing=processing, customers=known)
        things |= {message["id"]: message for message in shown}
    if memory_ids:
        rows_of_memories = list(_confirmed_memories(sought).filter(id__in=memory_ids))
        owners = {row.customer_id for row in rows_of_memories}
        customers = known if known.keys() >= owners else external_ids(sought.tenant_id, owners)
        for row, content in zip(rows_of_memories, open_memories(rows_of_memories), strict=True):
            things[row.id] = presenters.memory(row, content=content, customer=customers.get(row.customer_id))
    return things


def _confirmed(sought: RecallQuery) -> Any:
    """Visible messages that keep the filters by PostgreSQL's own word."""
    asked = {
        "customer_id": sought.customer_id,
        "session_id": sought.session_id,
        "role": sought.role,
        "language": sought.language,
        "created_at__gte": sought.start,
        "created_at__lt": sought.end,
    }
    return visible_messages(sought.tenant_id).filter(**{k: v for k, v in asked.items() if v is not None})


def _confirmed_memories(sought: RecallQuery) -> MemoryQuerySet[Memory]:
    """Current memories that keep the filters by PostgreSQL's own word."""
    rows = Memory.objects.for_tenant(sought.tenant_id).current(ids.now())
    asked = {"kind": sought.memory_kind, "created_at__gte": sought.start, "created_at__lt": sought.end}
    rows = rows.filter(**{name: value for name, value in asked.items() if value is not None})
    if sought.memories_only_shared:
        return rows.filter(customer_id__isnull=True)
    if sought.customer_id is None:
        return rows
    mine = Q(customer_id=sought.customer_id)
    return rows.filter(mine | Q(customer_id__isnull=True) if sought.with_shared_memories else mine)


def _shown(
    sought: RecallQuery,
    found: RecallResult,
    hit: Ranked,
    thing: dict[str, Any],
    neighbours: int,
    explain: bool,
) -> dict[str, Any]:
    text = plain_text(thing["content"])
    shown: dict[str, Any] = {
        "object": "hit",
        "kind": thing["object"],
        "score": round(hit.score, 6),
        thing["object"]: thing,
        "highlights": highlight(text, found.question),
    }
    if explain:
        shown["scores"] = {name: round(part, 6) for name, part in hit.parts.items()}
    if neighbours and thing["object"] == "message":
        shown["neighbours"] = _neighbours(sought.tenant_id, thing, neighbours)
    return shown


def _neighbours(tenant_id: UUID, message: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Up to `count` messages before and after, in order, without the message itself."""
    position = message["position"]
    rows = (
        visible_messages(tenant_id)
        .filter(session_id=message["session_id"], position__range=(position - count, position + count))
        .exclude(id=message["id"])
        .order_by("position")
    )
    return present(tenant_id, list(rows))


def query_hash(tenant_id: UUID, query: str) -> bytes:
    """A keyed hash of a query: equal for equal words, and useless for guessing them."""
    return keyring.keyed_hash(tenant_id, "query", query, size=32)
