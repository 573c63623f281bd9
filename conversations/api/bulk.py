"""`/sessions/bulk` and `/messages/bulk`: many changes, all or nothing."""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from msgspec import Struct

from conversations import ids
from conversations.api.answers import answer
from conversations.api.authentication import require
from conversations.api.operations import operation
from conversations.api.shapes import ErasureCase, MessageOut, SessionOut
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.exceptions import FieldError, Invalid
from conversations.inputs import MessagePatch, SessionIn, SessionPatch
from conversations.services import bulk

P = TypeVar("P", bound=Struct)


class SessionUpdate(SessionPatch, forbid_unknown_fields=True, kw_only=True):
    id: UUID


class MessageUpdate(MessagePatch, forbid_unknown_fields=True, kw_only=True):
    id: UUID


class SessionsBulkBody(Struct, forbid_unknown_fields=True, kw_only=True):
    create: list[SessionIn] = []
    update: list[SessionUpdate] = []
    delete: list[UUID] = []


class MessagesBulkBody(Struct, forbid_unknown_fields=True, kw_only=True):
    update: list[MessageUpdate] = []
    delete: list[UUID] = []


class SessionsBulkOut(Struct, kw_only=True):
    """Each list in the order of what was asked; `erasures` are the cases of the deleted, one each."""

    object: Literal["bulk"]
    created: list[SessionOut]
    updated: list[SessionOut]
    deleted: list[UUID]
    erasures: list[ErasureCase]


class MessagesBulkOut(Struct, kw_only=True):
    """Each list in the order of what was asked; one case for all of the deleted."""

    object: Literal["bulk"]
    created: list[MessageOut]
    updated: list[MessageOut]
    deleted: list[UUID]
    erasures: list[ErasureCase]


class SessionsBulk(TenantView):
    @operation(Scope.WRITE, body=SessionsBulkBody, answers={200: SessionsBulkOut}, idempotent=True)
    def post(self, body: SessionsBulkBody) -> HttpResponse:
        """Create, update and delete sessions in one transaction."""
        check_lists(create=body.create, update=body.update, delete=body.delete)
        _normalise(body.create)
        if any(session.created_at is not None for session in body.create):
            require(self.principal, Scope.IMPORT)
        changes = bulk.SessionChanges(
            create=body.create,
            update=[(one.id, only(SessionPatch, one)) for one in body.update],
            delete=body.delete,
        )
        changed = bulk.change_sessions(
            tenant_id=self.principal.tenant_id, changes=changes, actor=self.principal.actor
        )
        return answer(shown(changed))


class MessagesBulk(TenantView):
    @operation(Scope.WRITE, body=MessagesBulkBody, answers={200: MessagesBulkOut}, idempotent=True)
    def post(self, body: MessagesBulkBody) -> HttpResponse:
        """Annotate and delete messages in one transaction."""
        check_lists(update=body.update, delete=body.delete)
        changes = bulk.MessageChanges(
            update=[(one.id, only(MessagePatch, one)) for one in body.update], delete=body.delete
        )
        changed = bulk.change_messages(
            tenant_id=self.principal.tenant_id, changes=changes, actor=self.principal.actor
        )
        return answer(shown(changed))


def check_lists(*, delete: Sequence[UUID], **others: Sequence[Any]) -> None:
    """Invalid when nothing is asked, more than a batch, or the same thing is to be deleted twice."""
    count = len(delete) + sum(map(len, others.values()))
    if not 0 < count <= settings.MAX_BATCH:
        names = ", ".join([*others, "delete"])
        raise Invalid.field(
            "", f"Between 1 and {settings.MAX_BATCH} of {names} together.", code="out_of_range"
        )
    seen: set[UUID] = set()
    for number, identifier in enumerate(delete):
        if identifier in seen:
            raise Invalid.field(f"delete[{number}]", "This id is given twice.", code="repeated")
        seen.add(identifier)


def only(kind: type[P], update: Struct) -> P:
    """The patch inside an update, without the id that says of what."""
    return kind(**{name: getattr(update, name) for name in kind.__struct_fields__})


def shown(changed: bulk.Changed) -> dict[str, Any]:
    return {
        "object": "bulk",
        "created": changed.created,
        "updated": changed.updated,
        "deleted": changed.deleted,
        "erasures": changed.cases,
    }


def _normalise(sessions: Sequence[SessionIn]) -> None:
    problems: list[FieldError] = []
    for number, session in enumerate(sessions):
        try:
            session.normal(now=ids.now(), path=f"create[{number}].")
        except Invalid as error:
            problems.extend(error.errors)
    if problems:
        raise Invalid(problems)
