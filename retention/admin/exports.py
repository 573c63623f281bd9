"""Exports: requested with a reason, made by a worker, available for a week."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from conversations import ids
from conversations.admin.fields import ReasonField, UuidsField
from conversations.admin.pages import ActionPage, Page
from conversations.admin.paging import newest_first
from conversations.admin.selection import SelectionPage
from conversations.exceptions import Expired, KeyDestroyed
from conversations.ports import Target
from conversations.services.masking import Masker
from conversations.staff.rights import Right
from retention.enums import ExportState
from retention.models import ExportJob
from retention.services.erasures.previews import preview_erasure, request_for
from retention.services.exports.customers import export_customer
from retention.services.exports.evidence import (
    MOST_SESSIONS,
    get_export,
    open_evidence,
    progress,
    request_evidence,
)


class Exports(Page):
    title = "Exports"
    template_name = "admin/exports.html"
    right = Right.EXPORT

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        jobs = ExportJob.objects.for_tenant(self.tenant_id)
        return super().get_context_data(slice=newest_first(jobs, self.request.GET), now=ids.now(), **context)


class EvidenceForm(forms.Form):
    reason = ReasonField()
    originals = forms.BooleanField(
        label="Originals", required=False, help_text="Without it, what identifies people stays masked."
    )
    session = UuidsField(most=MOST_SESSIONS)


class ExportEvidence(SelectionPage):
    title = "Export evidence"
    template_name = "admin/export_evidence.html"
    right = Right.EXPORT
    form_class = EvidenceForm

    def get_initial(self) -> dict[str, Any]:
        return {"session": self.request.GET.getlist("session"), "originals": self.may(Right.REVEAL)}

    def get_form(self, data: Any = None) -> forms.Form:
        form = super().get_form(data)
        if not self.may(Right.REVEAL):
            del form.fields["originals"]
        return form

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        chosen = context["form"]["session"].value() or ()
        parent = {"url": reverse("admin:exports"), "title": "Exports"}
        return super().get_context_data(chosen=len(chosen), parent=parent, **context)

    def act(self, given: dict[str, Any]) -> str:
        job = request_evidence(
            tenant_id=self.tenant_id,
            session_ids=given["session"],
            originals=given.get("originals", False),
            reason=given["reason"],
            actor=self.actor,
        )
        return reverse("admin:export", args=[job.id])


class CustomerExportForm(forms.Form):
    reason = ReasonField()


class ExportCustomer(ActionPage):
    """Everything that is held about a person, for that person."""

    title = "Export"
    template_name = "admin/export_customer.html"
    right = Right.EXPORT
    form_class = CustomerExportForm

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        customer_id = self.kwargs["customer_id"]
        found = preview_erasure(self.tenant_id, Target(customer_id=customer_id))
        return super().get_context_data(
            found=found,
            named=Masker(self.tenant_id).text(found.name),
            parent={"url": reverse("admin:customer", args=[customer_id]), "title": "Customer"},
            **context,
        )

    def act(self, given: dict[str, Any]) -> str:
        request = request_for(self.tenant_id, Target(customer_id=self.kwargs["customer_id"]))
        job = export_customer(
            tenant_id=self.tenant_id,
            external_id=request.customer_id or "",
            actor=self.actor,
            reason=given["reason"],
        )
        return reverse("admin:export", args=[job.id])


class ExportPage(Page):
    title = "Export"
    template_name = "admin/export.html"
    right = Right.EXPORT

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        job = get_export(self.tenant_id, self.kwargs["export_id"])
        done, total = progress(job)
        return super().get_context_data(
            job=job,
            done=done,
            total=total,
            files=job.manifest.get("files", ()),
            is_there=job.state == ExportState.DONE and job.expires_at > ids.now(),
            parent={"url": reverse("admin:exports"), "title": "Exports"},
            **context,
        )


class DownloadExport(Page):
    title = "Export"
    right = Right.EXPORT

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            job, data = open_evidence(tenant_id=self.tenant_id, job_id=kwargs["export_id"], actor=self.actor)
        except (Expired, KeyDestroyed):
            messages.error(
                request,
                "This export is gone: exports are kept for a week, or until the person they are about is erased.",
            )
            return HttpResponseRedirect(reverse("admin:exports"))
        name = f"{job.kind}-{job.id}.zip"
        return HttpResponse(
            data,
            content_type="application/zip",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
