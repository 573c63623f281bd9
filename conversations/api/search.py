"""`/search`, contexts and context receipts."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpResponse
from msgspec import Meta, Struct

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.shapes import JSONObject, MemoryOut, MessageOut
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.exceptions import Invalid, NotFound
from conversations.inputs import (
    LanguageTag,
    MessageType,
    Moment,
    RoleName,
    ShortText,
    fold_customer,
    fold_role,
)
from conversations.models import ContextReceipt
from conversations.services.recall.context import ContextOptions, build_context, part_names
from conversations.services.recall.search import SearchRequest, search
from conversations.tenancy import tenant_scope

Query = Annotated[str, Meta(min_length=1, max_length=8192)]


class SearchBody(Struct, forbid_unknown_fields=True, kw_only=True):
    query: Query
    mode: Literal["hybrid", "text", "vector"] = "hybrid"
    scope: Annotated[tuple[Literal["messages", "memories"], ...], Meta(min_length=1)] = (
        "messages",
        "memories",
    )
    customer_id: ShortText | None = None
    user_id: ShortText | None = None
    session_id: UUID | None = None
    role: RoleName | None = None
    message_type: MessageType | None = None
    language: LanguageTag | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    neighbours: Annotated[int, Meta(ge=0, le=5)] = 0
    explain: bool = False

    def __post_init__(self) -> None:
        if not self.query.strip():
            raise Invalid.field("query", "A query needs at least one word.")


class ContextBody(Struct, forbid_unknown_fields=True, kw_only=True):
    query: Query | None = None
    message_limit: Annotated[int, Meta(ge=0, le=200)] = 10
    recall_limit: Annotated[int, Meta(ge=0, le=50)] = 5
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    include: list[str] | None = None


class HitOut(Struct, kw_only=True):
    object: Literal["hit"]
    kind: Literal["message", "memory"]
    score: float
    scores: dict[str, float] | None = None
    message: MessageOut | None = None
    memory: MemoryOut | None = None
    highlights: list[str]
    neighbours: list[MessageOut] | None = None


class SearchOut(Struct, kw_only=True):
    object: Literal["list"]
    data: list[HitOut]
    mode: Literal["hybrid", "text", "vector"]
    stores: list[str]
    degraded: list[str]


class ConversationSummary(Struct, kw_only=True):
    message_count: int
    first_message_at: datetime | None
    last_message_at: datetime | None
    roles: dict[str, int]
    intents: dict[str, int]
    text: str


class ContextOut(Struct, kw_only=True):
    """Other apps add their parts: `preferences`, `portrait`."""

    object: Literal["context"]
    recent_messages: list[MessageOut]
    recalled: list[HitOut]
    conversation_summary: ConversationSummary | None
    preferences: JSONObject | None = None
    portrait: JSONObject | None = None
    text: str
    stores: list[str]
    degraded: list[str]
    receipt_id: UUID


class ReceiptOut(Struct, kw_only=True):
    id: UUID
    object: Literal["context_receipt"]
    session_id: UUID
    query_hash: str | None
    items: list[JSONObject]
    stores: list[str]
    degraded: list[str]
    created_at: datetime


class Search(TenantView):
    @operation(Scope.READ, body=SearchBody, answers={200: SearchOut})
    def post(self, body: SearchBody) -> HttpResponse:
        """Search messages and memories."""
        return answer(
            search(
                SearchRequest(
                    tenant_id=self.principal.tenant_id,
                    query=body.query,
                    mode=body.mode,
                    scope=body.scope,
                    customer_id=fold_customer(body.customer_id, body.user_id),
                    session_id=body.session_id,
                    role=fold_role(body.role, body.message_type),
                    language=body.language,
                    start_time=body.start_time,
                    end_time=body.end_time,
                    limit=body.limit,
                    neighbours=body.neighbours,
                    explain=body.explain,
                )
            )
        )


class Context(TenantView):
    @operation(Scope.READ, body=ContextBody, body_optional=True, answers={200: ContextOut})
    def post(self, body: ContextBody, session_id: UUID) -> HttpResponse:
        """Everything an agent needs for its next answer."""
        known = part_names()
        if unknown := sorted(set(body.include or ()) - known):
            raise Invalid.field(
                "include", f"There is no part {unknown[0]!r}; there are {', '.join(sorted(known))}."
            )
        options = ContextOptions(
            query=body.query,
            message_limit=body.message_limit,
            recall_limit=body.recall_limit,
            max_tokens=body.max_tokens,
            include=None if body.include is None else frozenset(body.include),
        )
        return answer(
            build_context(tenant_id=self.principal.tenant_id, session_id=session_id, options=options)
        )


class OneReceipt(TenantView):
    @operation(Scope.READ, answers={200: ReceiptOut})
    def get(self, receipt_id: UUID) -> HttpResponse:
        """What an agent was shown."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            row = ContextReceipt.objects.for_tenant(tenant_id).filter(id=receipt_id).first()
        if row is None:
            raise NotFound
        return answer(_receipt(row))


def _receipt(row: ContextReceipt) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "context_receipt",
        "session_id": row.session_id,
        "query_hash": bytes(row.query_hash).hex() if row.query_hash is not None else None,
        "items": row.items,
        "stores": row.stores,
        "degraded": row.degraded,
        "created_at": row.created_at,
    }
