"""`/sessions/{id}/transcript`: a conversation as a document."""

from typing import Literal
from uuid import UUID

from django.http import HttpResponse
from msgspec import Struct

from conversations.api.answers import CONTENT_TYPE as JSON
from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.shapes import MessageOut, SessionOut
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.services.messages.reading import get_session, present, session_messages
from conversations.services.sessions import present_sessions
from conversations.tenancy import tenant_scope
from conversations.transcripts import render_html, render_markdown, transcript_of

RENDERED = {"md": (render_markdown, "text/markdown"), "html": (render_html, "text/html")}


class TranscriptQuery(Struct, frozen=True, kw_only=True):
    format: Literal["json", "md", "html"] = "json"


class TranscriptOut(Struct, kw_only=True):
    object: Literal["transcript"]
    session: SessionOut
    messages: list[MessageOut]


class SessionTranscript(TenantView):
    @operation(
        Scope.READ,
        query=TranscriptQuery,
        answers={200: TranscriptOut},
        media_types=(JSON, *(media_type for _, media_type in RENDERED.values())),
    )
    def get(self, query: TranscriptQuery, session_id: UUID) -> HttpResponse:
        """The whole session as a document; a runbook if it was closed successfully."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            row = get_session(tenant_id, session_id)
            session = present_sessions(tenant_id, [row])[0]
            messages = present(tenant_id, list(session_messages(row).order_by("position")))
        if query.format == "json":
            return answer({"object": "transcript", "session": session, "messages": messages})
        render, media_type = RENDERED[query.format]
        document = render(transcript_of(session, messages))
        return HttpResponse(document, content_type=f"{media_type}; charset=utf-8")
