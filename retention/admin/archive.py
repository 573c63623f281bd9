"""The archive: searched by scrubbed text, opened with a reason."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from conversations.admin.fields import ReasonField
from conversations.admin.pages import ActionPage, Page
from conversations.admin.paging import identifier, newest_first
from conversations.exceptions import Expired, KeyDestroyed, NotFound
from conversations.staff.rights import Right
from conversations.transcripts.html import shown_message
from conversations.transcripts.parts import message_of
from retention.services.archive import open_archived, readable_records, search_archive
from retention.services.transcripts import EvidenceReader

HITS = 50


class ArchiveSearch(forms.Form):
    words = forms.CharField(
        label="Words", required=False, max_length=500, widget=forms.TextInput(attrs={"type": "search"})
    )


class Archive(Page):
    title = "Archive"
    template_name = "admin/archive.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = ArchiveSearch(request.GET)
        words = form.cleaned_data["words"].strip() if form.is_valid() else ""
        shown = self._found(words) if words else self._listed()
        return self.render_to_response(self.get_context_data(form=form, searched=bool(words), **shown))

    def _found(self, words: str) -> dict[str, Any]:
        found = search_archive(tenant_id=self.tenant_id, query=words, limit=HITS, actor=self.actor)
        return {"degraded": found.degraded, "rows": self._shown([record for record, _ in found.hits])}

    def _listed(self) -> dict[str, Any]:
        query = self.request.GET
        customer_id, session_id = identifier(query, "customer"), identifier(query, "session")
        records = (
            readable_records(self.tenant_id).filter(hidden_at__isnull=True).about(customer_id, session_id)
        )
        page = newest_first(records, query)
        return {"slice": page, "rows": self._shown(page.rows)}

    def _shown(self, records: Any) -> list[dict[str, Any]]:
        reader = EvidenceReader(self.tenant_id, originals=False)
        return [{"record": record, "ending": reader.ending(record)} for record in records]


class OpenForm(forms.Form):
    reason = ReasonField(help_text="Recorded in the audit trail.")


class ArchivedPage(ActionPage):
    """One record. Its original is shown once for each reason that is given."""

    title = "Archived message"
    template_name = "admin/archived.html"
    form_class = OpenForm

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        record = readable_records(self.tenant_id).filter(id=self.kwargs["record_id"]).first()
        if record is None:
            raise NotFound
        return super().get_context_data(
            record=record,
            ending=EvidenceReader(self.tenant_id, originals=False).ending(record),
            parent={"url": reverse("admin:archive"), "title": "Archive"},
            **context,
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.require(Right.REVEAL)
        form = self.get_form(request.POST)
        opened: dict[str, Any] = {}
        if form.is_valid():
            opened = self._opened(form)
        return self.render_to_response(
            self.get_context_data(form=form, opened=opened), status=200 if opened else 400
        )

    def _opened(self, form: forms.Form) -> dict[str, Any]:
        try:
            message = open_archived(
                tenant_id=self.tenant_id,
                record_id=self.kwargs["record_id"],
                reason=form.cleaned_data["reason"],
                actor=self.actor,
            )
        except (Expired, KeyDestroyed) as error:
            form.add_error(None, error.detail)
            return {}
        return shown_message(message_of(message))
