"""`/messages`, and the messages of a session: the hot append, lists, annotations, deletes."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from msgspec import UNSET

from conversations import ids
from conversations.api.answers import answer
from conversations.api.authentication import require
from conversations.api.operations import operation
from conversations.api.pagination import BY_POSITION, ListOf, PageQuery, paginate
from conversations.api.shapes import ErasureCase, MessageOut
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.inputs import AppendIn, MessagePatch, MessageType, Moment, RoleName, fold_role
from conversations.models import Message
from conversations.services.idempotency import Shown
from conversations.services.messages import changes, reading
from conversations.services.messages.appends import append_messages
from conversations.tenancy import tenant_scope


class MessagesQuery(PageQuery, frozen=True, kw_only=True):
    role: RoleName | None = None
    message_type: MessageType | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None

    def filters(self) -> dict[str, Any]:
        asked = {
            "role": fold_role(self.role, self.message_type),
            "created_at__gte": self.start_time,
            "created_at__lt": self.end_time,
        }
        return {name: value for name, value in asked.items() if value is not None}


def _list(shown: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"],
        "last_id": shown[-1]["id"],
        "has_more": False,
    }


class SessionMessages(TenantView):
    @operation(Scope.READ, query=MessagesQuery, answers={200: ListOf[MessageOut]})
    def get(self, query: MessagesQuery, session_id: UUID) -> HttpResponse:
        """List a session's messages, oldest first."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            session = reading.get_session(tenant_id, session_id)
            rows = reading.session_messages(session).filter(**query.filters())
            own = Message.objects.for_tenant(tenant_id).filter(session_id=session_id)
            page = paginate(rows, query, order=BY_POSITION, cursors=own)
            return answer(page.of(reading.present(tenant_id, page.rows)))

    @operation(
        Scope.WRITE,
        body=AppendIn,
        answers=dict.fromkeys((201, 200), (MessageOut, ListOf[MessageOut])),
        idempotent=True,
    )
    def post(self, body: AppendIn, session_id: UUID) -> HttpResponse:
        """Append one message, or a batch under `messages`."""
        may_import = self.principal.may(Scope.IMPORT)
        given = body.all_normal(may_import=may_import, now=ids.now())
        if any(message.created_at is not None for message in given):
            require(self.principal, Scope.IMPORT)
        appended = append_messages(tenant_id=self.principal.tenant_id, session_id=session_id, given=given)
        shown = appended.messages[0] if body.messages is UNSET else _list(appended.messages)
        rows = (session_id, *(message["id"] for message in appended.messages))
        return answer(shown, 200 if appended.repeats else 201, shown=Shown(*appended.owner, rows))


class OneMessage(TenantView):
    @operation(Scope.READ, answers={200: MessageOut})
    def get(self, message_id: UUID) -> HttpResponse:
        """Get a message."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            return answer(reading.get_message(tenant_id, message_id))

    @operation(Scope.WRITE, body=MessagePatch, answers={200: MessageOut})
    def patch(self, body: MessagePatch, message_id: UUID) -> HttpResponse:
        """Annotate a message (JSON merge patch)."""
        shown = changes.update_message(tenant_id=self.principal.tenant_id, message_id=message_id, patch=body)
        return answer(shown)

    @operation(Scope.WRITE, answers={202: ErasureCase})
    def delete(self, message_id: UUID) -> HttpResponse:
        """Delete a message: hidden at once everywhere."""
        case = changes.delete_messages(
            tenant_id=self.principal.tenant_id, message_ids=[message_id], actor=self.principal.actor
        )
        return answer(case, 202)
