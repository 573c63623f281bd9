"""`/compliance/find`: everything that mentions an identifier."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpResponse
from msgspec import Meta, Struct

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.enums import Scope
from conversations.services.messages.reading import external_ids
from conversations.tenancy import tenant_scope
from retention.api.shapes import Reason
from retention.api.views import ComplianceView
from retention.services.finding import FindResult, Mention, State, find_person


class FindIn(Struct, forbid_unknown_fields=True):
    identifier: Annotated[str, Meta(min_length=1, max_length=255)]
    reason: Reason


class FoundCustomer(Struct, kw_only=True):
    object: Literal["customer"] = "customer"
    id: UUID
    customer_id: str | None
    created_at: datetime


class FoundSession(Struct, kw_only=True):
    object: Literal["session"] = "session"
    id: UUID
    customer_id: str | None
    channel: str | None
    created_at: datetime


class FoundText(Struct, kw_only=True):
    """A message or memory by its scrubbed text."""

    object: Literal["message", "memory"]
    id: UUID
    state: State
    session_id: UUID | None
    customer_id: str | None
    text: str
    created_at: datetime


class FoundOut(Struct, kw_only=True):
    object: Literal["found"] = "found"
    customers: list[FoundCustomer]
    sessions: list[FoundSession]
    messages: list[FoundText]
    memories: list[FoundText]
    truncated: bool


class Find(ComplianceView):
    @operation(Scope.COMPLIANCE, body=FindIn, answers={200: FoundOut})
    def post(self, body: FindIn) -> HttpResponse:
        """Find everything that mentions an e-mail address, a phone, card, account or id number."""
        tenant_id = self.principal.tenant_id
        found = find_person(
            tenant_id=tenant_id, identifier=body.identifier, reason=body.reason, actor=self.principal.actor
        )
        with tenant_scope(tenant_id):
            return answer(_show(tenant_id, found))


def _show(tenant_id: UUID, found: FindResult) -> FoundOut:
    named = {session.customer_id for session in found.sessions}
    named |= {mention.customer_id for mention in (*found.messages, *found.memories)}
    customers = external_ids(tenant_id, named)

    def text(mention: Mention, kind: Literal["message", "memory"]) -> FoundText:
        return FoundText(
            object=kind,
            id=mention.id,
            state=mention.state,
            session_id=mention.session_id,
            customer_id=customers.get(mention.customer_id),
            text=mention.text,
            created_at=mention.created_at,
        )

    return FoundOut(
        customers=[
            FoundCustomer(id=row.id, customer_id=row.external_id, created_at=row.created_at)
            for row in found.customers
        ],
        sessions=[
            FoundSession(
                id=row.id,
                customer_id=customers.get(row.customer_id),
                channel=row.channel,
                created_at=row.created_at,
            )
            for row in found.sessions
        ],
        messages=[text(mention, "message") for mention in found.messages],
        memories=[text(mention, "memory") for mention in found.memories],
        truncated=found.truncated,
    )
