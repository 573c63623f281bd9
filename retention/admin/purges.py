"""Purge runs: preview, start, progress, confirmation."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from conversations.admin.fields import ReasonField
from conversations.admin.pages import ActionPage, Page
from conversations.admin.paging import newest_first
from conversations.exceptions import Conflict, NotFound
from conversations.services import audit
from conversations.staff.rights import Right
from retention.admin.samples import MOST_COUNTED, read_samples, samples_of
from retention.enums import RecordClass, RunState
from retention.models import PurgeBatch, PurgeRun
from retention.services.pending_stores import events_waiting
from retention.services.purges.runs import begin_run, confirm_run, merkle_root, only_purge, preview
from retention.tasks import wake_purge


class PurgeRuns(Page):
    """Past runs, and a preview of what is due now."""

    title = "Purge runs"
    template_name = "admin/purge_runs.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        page = newest_first(PurgeRun.objects.for_tenant(self.tenant_id), self.request.GET)
        return super().get_context_data(slice=page, classes=RecordClass, **context)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Preview: counts and samples of every class, and a button to run each."""
        audit.record(
            tenant_id=self.tenant_id,
            actor=self.actor,
            action="retention.previewed",
            object_type="retention_policy",
        )
        previews = preview(tenant_id=self.tenant_id, most=MOST_COUNTED)
        return self.render_to_response(
            self.get_context_data(
                previews=previews,
                samples=read_samples(self.tenant_id, previews),
                most=f"{MOST_COUNTED:,}",
            )
        )


class RunPurge(Page):
    """The button that begins a run. A worker does the work."""

    title = "Run"
    right = Right.PURGE
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        record_class = kwargs["record_class"]
        if record_class not in RecordClass.values:
            raise NotFound
        try:
            run = self._begin(RecordClass(record_class))
        except (Conflict, IntegrityError):
            messages.warning(request, "A purge of this class is already running; nothing was started.")
            return HttpResponseRedirect(reverse("admin:purge-runs"))
        return HttpResponseRedirect(reverse("admin:purge-run", args=[run.id]))

    def _begin(self, record_class: RecordClass) -> PurgeRun:
        unfinished = PurgeRun.objects.for_tenant(self.tenant_id).filter(
            record_class=record_class, state__in=[RunState.RUNNING, RunState.STOPPED]
        )
        if (run := unfinished.first()) is not None:
            return run
        with only_purge(self.tenant_id, record_class) as alone, transaction.atomic():
            if not alone:
                raise Conflict
            run = begin_run(tenant_id=self.tenant_id, record_class=record_class, actor=self.actor)
        wake_purge()
        return run


class ConfirmForm(forms.Form):
    reason = ReasonField()


class PurgeRunPage(ActionPage):
    title = "Purge run"
    template_name = "admin/purge_run.html"
    form_class = ConfirmForm

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        run = self._run()
        batches = PurgeBatch.objects.for_tenant(self.tenant_id).filter(run=run).order_by("-number")
        return super().get_context_data(
            run=run,
            done=run.archived + run.destroyed,
            batches=batches[:20],
            merkle_root=merkle_root(run).hex() if run.leaves else "",
            waiting=events_waiting(self.tenant_id),
            samples=samples_of(self.tenant_id, {run.record_class: run.samples}),
            parent={"url": reverse("admin:purge-runs"), "title": "Purge runs"},
            heading=f"Purge of {run.record_class}",
            **context,
        )

    def act(self, given: dict[str, Any]) -> str:
        self.require(Right.PURGE)
        run = confirm_run(
            tenant_id=self.tenant_id, run_id=self.kwargs["run_id"], reason=given["reason"], actor=self.actor
        )
        wake_purge()
        messages.success(self.request, "Confirmed. The run continues.")
        return reverse("admin:purge-run", args=[run.id])

    def _run(self) -> PurgeRun:
        run = PurgeRun.objects.for_tenant(self.tenant_id).filter(id=self.kwargs["run_id"]).first()
        if run is None:
            raise NotFound
        return run
