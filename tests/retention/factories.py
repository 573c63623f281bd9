"""Conversations of any age, stored the way an import stores them, and how they are erased."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from conversations import ids
from conversations.inputs import MessageIn, SessionIn
from conversations.models import Session, Tenant
from conversations.principals import Actor, ActorKind
from conversations.services import sessions
from conversations.services.accounts import tenants
from conversations.services.messages.appends import append_messages
from retention.models import ErasureCase
from retention.services.erasures.cases import Request, open_erasure

ALICE = Actor(ActorKind.AGENT, "alice")
BOB = Actor(ActorKind.AGENT, "bob")


def make_tenant(name: str = "acme") -> Tenant:
    return tenants.create_tenant(name=name)


def ago(days: float) -> datetime:
    return ids.now() - timedelta(days=days)


def make_session(tenant: Tenant, *, customer: str | None = "c1", made_at: datetime | None = None) -> Session:
    body = SessionIn(customer_id=customer, created_at=made_at, title="About a parcel", metadata={"k": "v"})
    return sessions.create_session(tenant_id=tenant.id, body=body)[0]


def say(
    tenant: Tenant, session: Session, times: Sequence[datetime], text: str = "Where is it?"
) -> list[UUID]:
    """One message for each of the times; their ids."""
    given = [MessageIn(content=f"{text} {n}", role="user", created_at=at) for n, at in enumerate(times)]
    appended = append_messages(tenant_id=tenant.id, session_id=session.id, given=given)
    return [message["id"] for message in appended.messages]


def erase(tenant: Tenant, **what: Any) -> ErasureCase:
    return open_erasure(
        tenant_id=tenant.id, request=Request(**what), reason="asked by letter", basis="GDPR 17", actor=ALICE
    )
