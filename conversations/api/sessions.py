"""`/sessions`: conversations as agents open, change, close and delete them."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from msgspec import Meta

from conversations import ids
from conversations.api.answers import answer
from conversations.api.authentication import require
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.api.shapes import ErasureCase, SessionOut, WindowOut
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.inputs import CloseBody, Moment, SessionIn, SessionPatch
from conversations.models import Session
from conversations.services import sessions
from conversations.services.idempotency import Shown
from conversations.services.messages.contents import key_owner
from conversations.services.messages.reading import get_session
from conversations.services.messages.windows import MAX_LIMIT, read_window
from conversations.tenancy import tenant_scope


class SessionsQuery(PageQuery, frozen=True, kw_only=True):
    customer_id: str | None = None
    external_id: str | None = None
    channel: str | None = None
    language: str | None = None
    outlet_id: str | None = None
    status: Literal["open", "closed"] | None = None
    started_after: Moment | None = None
    started_before: Moment | None = None

    aliases: ClassVar = {
        "user_id": "customer_id",
        "thread_id": "external_id",
        "conversation_id": "external_id",
        "start_time": "started_after",
        "end_time": "started_before",
    }

    def filters(self) -> dict[str, Any]:
        """What the ORM is asked, from what was given."""
        asked: dict[str, Any] = {
            "customer__external_id": self.customer_id,
            "external_id": self.external_id,
            "channel": self.channel,
            "language": self.language,
            "outlet_id": self.outlet_id,
            "status": self.status,
            "created_at__gte": self.started_after,
            "created_at__lt": self.started_before,
        }
        # The id carries the time, and it is the id that is indexed.
        if self.started_after is not None:
            asked["id__gte"] = ids.floor_id(self.started_after)
        return {name: value for name, value in asked.items() if value is not None}


class WindowQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 20
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    include_system: bool = False


class Sessions(TenantView):
    @operation(Scope.READ, query=SessionsQuery, answers={200: ListOf[SessionOut]})
    def get(self, query: SessionsQuery) -> HttpResponse:
        """List sessions, newest first."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            rows = Session.objects.for_tenant(tenant_id).live().filter(**query.filters())
            page = paginate(rows, query)
            return answer(page.of(sessions.present_sessions(tenant_id, page.rows)))

    @operation(Scope.WRITE, body=SessionIn, answers={201: SessionOut, 200: SessionOut}, idempotent=True)
    def post(self, body: SessionIn) -> HttpResponse:
        """Create a session, or get the one that has this external id."""
        tenant_id = self.principal.tenant_id
        body.normal(now=ids.now())
        if body.created_at is not None:
            require(self.principal, Scope.IMPORT)
        with tenant_scope(tenant_id):
            session, is_new = sessions.create_session(tenant_id=tenant_id, body=body)
            shown = sessions.present_sessions(tenant_id, [session])[0]
            return answer(shown, 201 if is_new else 200, shown=_shown(session))


class OneSession(TenantView):
    @operation(Scope.READ, answers={200: SessionOut})
    def get(self, session_id: UUID) -> HttpResponse:
        """Get a session."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            session = get_session(tenant_id, session_id)
            return answer(sessions.present_sessions(tenant_id, [session])[0])

    @operation(Scope.WRITE, body=SessionPatch, answers={200: SessionOut})
    def patch(self, body: SessionPatch, session_id: UUID) -> HttpResponse:
        """Change a session (JSON merge patch)."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            session = sessions.update_session(tenant_id=tenant_id, session_id=session_id, patch=body)
            return answer(sessions.present_sessions(tenant_id, [session])[0])

    @operation(Scope.WRITE, answers={202: ErasureCase})
    def delete(self, session_id: UUID) -> HttpResponse:
        """Delete a session: hidden at once everywhere."""
        case = sessions.delete_session(
            tenant_id=self.principal.tenant_id, session_id=session_id, actor=self.principal.actor
        )
        return answer(case, 202)


class SessionClosing(TenantView):
    @operation(Scope.WRITE, body=CloseBody, body_optional=True, answers={200: SessionOut}, idempotent=True)
    def post(self, body: CloseBody, session_id: UUID) -> HttpResponse:
        """Close a session, or merge more into its outcome."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            session = sessions.close_session(tenant_id=tenant_id, session_id=session_id, outcome=body.outcome)
            return answer(sessions.present_sessions(tenant_id, [session])[0], shown=_shown(session))


def _shown(session: Session) -> Shown:
    return Shown(*key_owner(session.customer_id, session.id), (session.id,))


class SessionWindow(TenantView):
    @operation(Scope.READ, query=WindowQuery, answers={200: WindowOut})
    def get(self, query: WindowQuery, session_id: UUID) -> HttpResponse:
        """The last messages, oldest first."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            session = get_session(tenant_id, session_id)
        window = read_window(
            session=session,
            limit=query.limit,
            max_tokens=query.max_tokens,
            include_system=query.include_system,
        )
        shown = {
            "object": "window",
            "data": window.messages,
            "source": window.source,
            "degraded": window.degraded,
        }
        return answer(shown)
