"""A page of the back office is one transaction, in the scope of one tenant."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from conversations.api.routes import is_page
from conversations.models import Staff, Tenant
from conversations.staff.people import acting_as
from conversations.tenancy import tenant_scope

CHOSEN = "tenant"  # in the session: which tenant platform staff work for
# Pages that speak of no tenant, by the names of their routes.
WITHOUT_TENANT = {"tenant", "login", "logout", "password_change", "password_change_done", "jsi18n"}


class BackOfficeMiddleware:
    """Tenant staff work in their tenant and nowhere else; platform staff in the one they have chosen."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_page(request):
            return self.get_response(request)
        request.tenant = None
        if not isinstance(request.user, Staff):
            return self.get_response(request)
        with acting_as(request.user.pk):
            return self._within_tenant(request)

    def _within_tenant(self, request: HttpRequest) -> HttpResponse:
        tenant_id = chosen_tenant_id(request)
        with tenant_scope(tenant_id) if tenant_id is not None else nullcontext():
            if tenant_id is not None:
                request.tenant = Tenant.objects.filter(id=tenant_id, removed_at__isnull=True).first()
            response = self.get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
        return response

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        """Platform staff choose first: no page falls back to some tenant."""
        match = request.resolver_match
        if (
            match is None
            or match.app_name != "admin"
            or match.url_name in WITHOUT_TENANT
            or not request.user.is_authenticated
            or request.tenant is not None
        ):
            return None
        return HttpResponseRedirect(
            f"{reverse('admin:tenant')}?{urlencode({'next': request.get_full_path()})}"
        )

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Nothing half-done: what a failed view has written goes with it."""
        if is_page(request) and transaction.get_connection().in_atomic_block:
            transaction.set_rollback(True)


def chosen_tenant_id(request: HttpRequest) -> UUID | None:
    """Whose rows this request may see; None while platform staff have chosen nobody, or are choosing."""
    if request.user.tenant_id is not None:
        return request.user.tenant_id
    if request.path == reverse("admin:tenant") or (chosen := request.session.get(CHOSEN)) is None:
        return None
    return UUID(chosen)
