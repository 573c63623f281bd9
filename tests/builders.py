"""Short ways to the rows that tests begin with, through the same services as everybody."""

from typing import Any
from uuid import UUID

from conversations.inputs import MessageIn, SessionIn
from conversations.models import Session, Tenant
from conversations.services.accounts.api_keys import create_key
from conversations.services.accounts.tenants import create_tenant
from conversations.services.messages.appends import Appended, append_messages
from conversations.services.sessions import create_session

ALL_SCOPES = ["read", "write", "import", "compliance"]


def make_tenant(name: str = "acme") -> Tenant:
    return create_tenant(name=name)


def make_key(tenant: Tenant, *scopes: str, person: str = "pat") -> str:
    return create_key(tenant=tenant, scopes=list(scopes) or ALL_SCOPES, person=person).key


def make_session(tenant: Tenant, **fields: Any) -> Session:
    return create_session(tenant_id=tenant.id, body=SessionIn(**fields))[0]


def say(tenant: Tenant, session: Session, *texts: str, **fields: Any) -> Appended:
    """Append one user message for each text."""
    given = [
        MessageIn(role=fields.get("role", "user"), content=text, **without_role(fields)) for text in texts
    ]
    return append_messages(tenant_id=tenant.id, session_id=session.id, given=given)


def without_role(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "role"}


def message_ids(appended: Appended) -> list[UUID]:
    return [message["id"] for message in appended.messages]
