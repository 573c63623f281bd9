"""The tenant that platform staff work in: they choose one, and that tenant's audit trail records it."""

from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from conversations.admin.pages import ActionPage
from conversations.services import audit
from conversations.services.accounts.tenants import all_tenants
from conversations.staff.middleware import CHOSEN
from conversations.tenancy import tenant_scope


class TenantForm(forms.Form):
    tenant = forms.TypedChoiceField(label="Tenant", coerce=UUID)
    next = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["tenant"]
        field.choices = [(str(tenant.id), tenant.name) for tenant in all_tenants()]


class ChooseTenant(ActionPage):
    title = "Choose a tenant"
    template_name = "admin/tenant.html"
    right = None
    form_class = TenantForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if self.request.user.tenant_id is not None:
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get_initial(self) -> dict[str, Any]:
        return {"next": self.request.GET.get("next", ""), "tenant": self.request.session.get(CHOSEN)}

    def act(self, given: dict[str, Any]) -> str:
        tenant_id, user = given["tenant"], self.request.user
        with tenant_scope(tenant_id):
            audit.record(
                tenant_id=tenant_id,
                actor=self.actor,
                action="tenant.entered",
                object_type="staff",
                object_id=user.pk,
            )
        self.request.session[CHOSEN] = str(tenant_id)
        home = reverse("admin:index")
        safe = url_has_allowed_host_and_scheme(given["next"], {self.request.get_host()})
        return given["next"] if safe and given["next"].startswith(home) else home
