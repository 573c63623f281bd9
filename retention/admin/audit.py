"""The audit trail: filters, inclusion proofs, verification and export."""

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from conversations.admin.pages import Page
from conversations.admin.paging import newest_first
from conversations.canonical import instant
from conversations.enums import Outcome
from conversations.exceptions import Conflict, Expired, NotFound
from conversations.models import AuditEvent
from conversations.services import audit
from conversations.staff.rights import Right
from retention.models import AuditCheckpoint
from retention.services.audit.reading import EventFilter, find_events, leaves_of, prove_event
from retention.services.audit.verifying import verify_audit

MOST_EXPORTED = 10_000
COLUMNS = (
    "at",
    "actor_kind",
    "actor",
    "action",
    "object_type",
    "object_id",
    "outcome",
    "request_id",
    "details",
    "id",
)


class EventForm(forms.Form):
    action = forms.CharField(label="Action", required=False, max_length=60, help_text="Such as hold.placed")
    actor = forms.CharField(label="Person", required=False, max_length=300)
    object = forms.CharField(label="Object id", required=False, max_length=64)
    outcome = forms.ChoiceField(label="Outcome", required=False, choices=[("", "Any"), *Outcome.choices])
    start = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label="Until", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def wanted(self) -> EventFilter:
        given = self.cleaned_data
        start, end = given["start"], given["end"]
        return EventFilter(
            action=given["action"] or None,
            actor=given["actor"] or None,
            object_id=given["object"] or None,
            outcome=given["outcome"] or None,
            start_time=start and _midnight(start),
            end_time=end and _midnight(end + timedelta(days=1)),
        )


class AuditPage(Page):
    right = Right.AUDIT

    def record(self, action: str, object_id: Any = None, **details: Any) -> None:
        audit.record(
            tenant_id=self.tenant_id,
            actor=self.actor,
            action=action,
            object_type="audit_event",
            object_id=object_id,
            details=details,
        )


class Audit(AuditPage):
    title = "Audit"
    template_name = "admin/audit.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        form = EventForm(self.request.GET or None)
        wanted = form.wanted() if form.is_valid() else EventFilter()
        page = newest_first(find_events(self.tenant_id, wanted), self.request.GET)
        leaves = leaves_of(self.tenant_id, [event.id for event in page.rows])
        query = self.request.GET.copy()
        return super().get_context_data(
            form=form,
            slice=page,
            rows=[{"event": event, "leaf": leaves.get(event.id)} for event in page.rows],
            checkpoint=AuditCheckpoint.objects.for_tenant(self.tenant_id).order_by("-tree_size").first(),
            query=query.urlencode(),
            **context,
        )


class VerifyAudit(AuditPage):
    """Reads the whole trail and names whatever differs from what was sealed."""

    title = "Audit"
    template_name = "admin/audit_verified.html"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        found = verify_audit(self.request.tenant)
        audit.record(
            tenant_id=self.tenant_id,
            actor=self.actor,
            action="audit.verified",
            object_type="audit_event",
            outcome=Outcome.OK if found.ok else Outcome.FAILED,
            details={"events": found.events, "findings": len(found.findings)},
        )
        checkpoint = AuditCheckpoint.objects.for_tenant(self.tenant_id).order_by("-tree_size").first()
        return self.render_to_response(
            self.get_context_data(
                found=found,
                checkpoint=checkpoint,
                parent={"url": reverse("admin:audit"), "title": "Audit"},
                heading="Verified",
            )
        )


class EventPage(AuditPage):
    """One event, and the proof that it is in the signed tree."""

    title = "Event"
    template_name = "admin/audit_event.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        event = AuditEvent.objects.for_tenant(self.tenant_id).filter(id=self.kwargs["event_id"]).first()
        if event is None:
            raise NotFound
        return super().get_context_data(
            event=event,
            details=msgspec.json.format(msgspec.json.encode(event.details)).decode(),
            parent={"url": reverse("admin:audit"), "title": "Audit"},
            heading=event.action,
            **self._proof(),
            **context,
        )

    def _proof(self) -> dict[str, Any]:
        try:
            proof = prove_event(self.tenant_id, self.kwargs["event_id"])
        except (Conflict, Expired) as error:
            return {"unproven": error.detail}
        return {"proof": proof, "proof_path": [sibling.hex() for sibling in proof.path]}


class ExportAudit(AuditPage):
    """The events that the filter shows, as a table for a spreadsheet or as JSON Lines."""

    title = "Export"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = EventForm(request.GET or None)
        wanted = form.wanted() if form.is_valid() else EventFilter()
        events = list(find_events(self.tenant_id, wanted).order_by("-id")[: MOST_EXPORTED + 1])
        if len(events) > MOST_EXPORTED:
            messages.error(request, f"More than {MOST_EXPORTED} events match: narrow the search by date.")
            return HttpResponseRedirect(f"{reverse('admin:audit')}?{request.GET.urlencode()}")
        self.record("audit.exported", events=len(events))
        as_csv = kwargs["form"] == "csv"
        return HttpResponse(
            _csv(events) if as_csv else _json_lines(events),
            content_type="text/csv; charset=utf-8" if as_csv else "application/jsonl",
            headers={"Content-Disposition": f'attachment; filename="audit.{"csv" if as_csv else "jsonl"}"'},
        )


def _row(event: AuditEvent) -> dict[str, Any]:
    return {
        "at": instant(event.created_at),
        "actor_kind": event.actor_kind,
        "actor": event.actor,
        "action": event.action,
        "object_type": event.object_type,
        "object_id": event.object_id,
        "outcome": event.outcome,
        "request_id": event.request_id,
        "details": event.details,
        "id": str(event.id),
    }


def _json_lines(events: list[AuditEvent]) -> bytes:
    return b"".join(msgspec.json.encode(_row(event)) + b"\n" for event in events)


def _csv(events: list[AuditEvent]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for event in events:
        row = _row(event) | {"details": msgspec.json.encode(event.details).decode()}
        writer.writerow([inert(row[column]) for column in COLUMNS])
    return text.getvalue()


def inert(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
