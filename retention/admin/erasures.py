"""Erasures: previewed, watched while stores are asked, proven by a receipt."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from conversations.admin.fields import ReasonField
from conversations.admin.pages import ActionPage, Page
from conversations.admin.paging import newest_first
from conversations.exceptions import NotFound
from conversations.installation import signing_key
from conversations.ports import Target
from conversations.services import audit
from conversations.services.masking import Masker
from conversations.staff.rights import Right
from conversations.transcripts.visible import visible
from retention.models import ErasureCase, ErasureTask
from retention.receipts import MAX_SIZE, ReceiptRefused, Verification, verify_receipt
from retention.services.erasures.cases import get_case, open_erasure
from retention.services.erasures.previews import preview_erasure, request_for


class Erasures(Page):
    title = "Erasures"
    template_name = "admin/erasures.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        cases = ErasureCase.objects.for_tenant(self.tenant_id)
        return super().get_context_data(slice=newest_first(cases, self.request.GET), **context)


class ErasurePage(Page):
    """A case as a timeline across stores."""

    title = "Erasure"
    template_name = "admin/erasure.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        case = get_case(self.tenant_id, self.kwargs["case_id"])
        tasks = ErasureTask.objects.for_tenant(self.tenant_id).filter(case=case).order_by("id")
        return super().get_context_data(
            case=case,
            tasks=tasks,
            parent={"url": reverse("admin:erasures"), "title": "Erasures"},
            **context,
        )


class DownloadReceipt(Page):
    title = "Receipt"
    right = Right.READ

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        case = get_case(self.tenant_id, kwargs["case_id"])
        if case.receipt is None:
            raise NotFound("This erasure is not verified yet.")
        audit.record(
            tenant_id=self.tenant_id,
            actor=self.actor,
            action="erasure.receipt_downloaded",
            object_type="erasure_case",
            object_id=case.id,
        )
        return HttpResponse(
            bytes(case.receipt),
            content_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="receipt-{case.id}.json"'},
        )


class EraseForm(forms.Form):
    reason = ReasonField()
    basis = forms.CharField(
        label="Basis", max_length=500, help_text="What the person relies on, such as GDPR Art. 17 (1) (b)."
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)


class Erase(ActionPage):
    """Erasing a customer or a conversation: shows what will be erased first, then opens the case."""

    title = "Erase"
    template_name = "admin/erase.html"
    right = Right.ERASE
    form_class = EraseForm

    def get_initial(self) -> dict[str, Any]:
        return {"seen": self.found.fingerprint}

    def get_form(self, data: Any = None) -> forms.Form:
        self.found = preview_erasure(self.tenant_id, self._target())
        return super().get_form(data)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(found=self.found, **self._about(), **context)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.get_form(request.POST)
        if form.is_valid() and form.cleaned_data["seen"] != self.found.fingerprint:
            # A hold was placed, or a message arrived, while the form was open.
            form = self.form_class(self._renewed(request))
            form.add_error(
                None,
                "What would be erased has changed meanwhile. Nothing was erased: check the counts again.",
            )
            return self.render_to_response(self.get_context_data(form=form), status=409)
        return super().post(request, *args, **kwargs)

    def act(self, given: dict[str, Any]) -> str:
        case = open_erasure(
            tenant_id=self.tenant_id,
            request=request_for(self.tenant_id, self._target()),
            reason=given["reason"],
            basis=given["basis"],
            actor=self.actor,
        )
        messages.success(
            self.request, "Erased: nobody can read it any more. The stores are now being asked to confirm."
        )
        return reverse("admin:erasure", args=[case.id])

    def _renewed(self, request: HttpRequest) -> Mapping[str, Any]:
        return {**request.POST.dict(), "seen": self.found.fingerprint}

    def _target(self) -> Target:
        customer: UUID | None = self.kwargs.get("customer_id")
        return Target(customer_id=customer, session_id=self.kwargs.get("session_id"))

    def _about(self) -> dict[str, Any]:
        if customer_id := self.kwargs.get("customer_id"):
            return {
                "whom": "this customer",
                "named": Masker(self.tenant_id).text(self.found.name),
                "parent": {"url": reverse("admin:customer", args=[customer_id]), "title": "Customer"},
            }
        session_id = self.kwargs["session_id"]
        return {
            "whom": "this conversation",
            "named": visible(self.found.name),
            "parent": {"url": reverse("admin:transcript", args=[session_id]), "title": "Conversation"},
        }


class ReceiptForm(forms.Form):
    receipt = forms.FileField(label="Receipt", help_text="The file, byte for byte as it was downloaded.")


class VerifyReceipt(ActionPage):
    """Whether a file is a receipt of this installation. Nothing of the file is stored."""

    title = "Verify receipt"
    template_name = "admin/verify_receipt.html"
    right = None
    form_class = ReceiptForm

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = ReceiptForm(request.POST, request.FILES)
        verified = _verified(form) if form.is_valid() else None
        return self.render_to_response(
            self.get_context_data(form=form, verified=verified), status=200 if verified else 400
        )


def _verified(form: ReceiptForm) -> Verification | None:
    file = form.cleaned_data["receipt"]
    try:
        return verify_receipt(file.read(MAX_SIZE + 1), signing_key().public_key)
    except ReceiptRefused as error:
        form.add_error("receipt", str(error))
        return None
