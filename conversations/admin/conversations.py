"""Conversations: found by words or by what is known of them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import mark_safe

from conversations import ids
from conversations.admin.pages import Page
from conversations.admin.paging import REACH, newest_first
from conversations.enums import SessionStatus
from conversations.models import Message
from conversations.ports import lifecycle
from conversations.ranking import Question, highlight
from conversations.services.inspection import (
    Criteria,
    record_search,
    search_words,
    sessions_like,
    sessions_near,
)
from conversations.services.masking import Masker
from conversations.transcripts.visible import visible


class SearchForm(forms.Form):
    """What to look for. Every field narrows."""

    words = forms.CharField(
        label="Words", required=False, max_length=500, widget=forms.TextInput(attrs={"type": "search"})
    )
    customer = forms.CharField(label="Customer", required=False, max_length=255)
    external_id = forms.CharField(label="External id", required=False, max_length=255)
    intent = forms.CharField(label="Intent", required=False, max_length=200)
    language = forms.CharField(label="Language", required=False, max_length=35)
    channel = forms.CharField(label="Channel", required=False, max_length=64)
    outlet = forms.CharField(label="Outlet", required=False, max_length=128)
    status = forms.ChoiceField(label="Status", required=False, choices=[("", "Any"), *SessionStatus.choices])
    start = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label="Until", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def criteria(self) -> Criteria:
        """Both days included, in UTC."""
        given = dict(self.cleaned_data)
        start, end = given.pop("start"), given.pop("end")
        return Criteria(
            **given,
            start=start and _midnight(start),
            end=end and _midnight(end + timedelta(days=1)),
        )


class Conversations(Page):
    title = "Conversations"
    template_name = "admin/conversations.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = SearchForm(request.GET or None)
        criteria = form.criteria() if form.is_valid() else Criteria()
        shown = self._by_words(criteria) if criteria.words else self._by_facts(criteria)
        status = 400 if form.errors else 200
        return self.render_to_response(self.get_context_data(form=form, **shown), status=status)

    def _by_words(self, criteria: Criteria) -> dict[str, Any]:
        matches = search_words(tenant_id=self.tenant_id, criteria=criteria, actor=self.actor)
        question = Question.parse(criteria.words)
        rows = [
            (match.session, [_passage(message, question) for message in match.passages])
            for match in matches.found
        ]
        return {"searched": True, "matches": matches, **self._shown(rows)}

    def _by_facts(self, criteria: Criteria) -> dict[str, Any]:
        if criteria.names() and not self.request.GET.keys() & {"older", "newer"}:
            record_search(tenant_id=self.tenant_id, criteria=criteria, actor=self.actor)
        among = sessions_near(self.tenant_id, criteria) if criteria.scans() else None
        page = newest_first(sessions_like(self.tenant_id, criteria), self.request.GET, among=among)
        reached = ids.moment_of(page.reached) if page.reached else None
        return {
            "slice": page,
            "reached": reached,
            "reach": f"{REACH:,}",
            **self._shown([(session, []) for session in page.rows]),
        }

    def _shown(self, rows: list[tuple[Any, list[Any]]]) -> dict[str, Any]:
        held = lifecycle().held_sessions(self.tenant_id, [session.id for session, _ in rows])
        masker = Masker(self.tenant_id)
        return {
            "rows": [
                {
                    "session": session,
                    "title": visible(session.title or "")
                    or masker.text(session.external_id)
                    or "Conversation",
                    "customer": masker.text(session.customer.external_id) if session.customer else "",
                    "intent": masker.text(_intent(session.intents)),
                    "outlet": masker.text(session.outlet_id),
                    "held": session.id in held,
                    "passages": passages,
                }
                for session, passages in rows
            ]
        }


def _passage(message: Message, question: Question) -> dict[str, Any]:
    """The position, and HTML that `highlight` has escaped: empty where only the meaning matched."""
    found = highlight(visible(message.scrubbed), question, limit=1)
    return {
        "position": message.position,
        "role": message.role,
        "marked": mark_safe(found[0]) if found else "",  # noqa: S308  (escaped but for <em>)
        "text": visible(message.scrubbed)[:160],
    }


def _intent(intents: dict[str, Any]) -> str:
    primary = intents.get("primary")
    return primary if isinstance(primary, str) else ""


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
