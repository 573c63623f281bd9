"""The transcript of a conversation: masked until somebody gives a reason."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from conversations import ids
from conversations.admin.fields import ReasonField
from conversations.admin.pages import ActionPage
from conversations.models import Session
from conversations.services import audit
from conversations.staff.rights import Right
from conversations.transcripts.html import shown_facts, shown_message
from retention.services.transcripts import EvidenceReader, Reading

REVEALED_FOR = timedelta(minutes=15)
REVEALED = "revealed"  # in the session: {conversation: [until, reason]}


class RevealForm(forms.Form):
    reason = ReasonField(help_text="Recorded in the audit trail. Originals are shown for 15 minutes.")


class TranscriptPage(ActionPage):
    """One part of a conversation. Each look at originals is an event with the reason that was given."""

    template_name = "admin/transcript.html"
    form_class = RevealForm

    def get_title(self) -> str:
        return self.heading

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        reason = revealed_because(self.request, self.kwargs["session_id"])
        reader = EvidenceReader(self.tenant_id, originals=reason is not None)
        session = reader.session(self.kwargs["session_id"])
        reading = reader.read(session, start=_position(self.request.GET.get("from")))
        if reason is not None:
            self._record(session, reading, reason)
        self.heading = reading.transcript.session.heading
        return super().get_context_data(
            session=session,
            facts=shown_facts(reading.transcript.session),
            lines=[{**shown_message(line.message), "line": line} for line in reading.lines],
            reading=reading,
            is_revealed=reason is not None,
            parent={"url": reverse("admin:conversations"), "title": "Conversations"},
            **context,
        )

    def act(self, given: dict[str, Any]) -> str:
        session_id = str(
            EvidenceReader(self.tenant_id, originals=False).session(self.kwargs["session_id"]).id
        )
        until = ids.now() + REVEALED_FOR
        revealed = self.request.session.get(REVEALED, {})
        self.request.session[REVEALED] = {**revealed, session_id: [until.isoformat(), given["reason"]]}
        return self.request.get_full_path()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.require(Right.REVEAL)
        return super().post(request, *args, **kwargs)

    def _record(self, session: Session, reading: Reading, reason: str) -> None:
        audit.record(
            tenant_id=self.tenant_id,
            actor=self.actor,
            action="transcript.revealed",
            object_type="session",
            object_id=session.id,
            details={"reason": reason, "messages": len(reading.lines)},
        )


def revealed_because(request: HttpRequest, session_id: UUID) -> str | None:
    """The reason that was given for this conversation, while it counts."""
    until, reason = request.session.get(REVEALED, {}).get(str(session_id), (None, None))
    moment = parse_datetime(until) if until else None
    return reason if moment is not None and moment > ids.now() else None


def _position(text: str | None) -> int:
    return min(int(text), 2**31 - 1) if text is not None and text.isascii() and text.isdecimal() else 1
