"""A page of the back office is one transaction, in the scope of one tenant."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from allauth.account.internal.stagekit import LOGIN_SESSION_KEY
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from conversations.api.routes import is_page, route_template
from conversations.enums import Outcome
from conversations.models import Staff, Tenant
from conversations.services import audit
from conversations.staff import session_limits
from conversations.staff.people import acting_as, actor_of
from conversations.staff.second_factor import lacks_factor
from conversations.tenancy import tenant_scope

CHOSEN = "tenant"  # in the session: which tenant platform staff work for
# Pages that speak of no tenant, by the names of their routes.
WITHOUT_TENANT = {"tenant", "login", "logout", "password_change", "password_change_done", "jsi18n"}


class BackOfficeMiddleware:
    """Scopes each request: tenant staff to their own tenant, platform staff to the one they have chosen."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_page(request):
            return self.get_response(request)
        request.tenant = None
        if not isinstance(request.user, Staff):
            pending = _pending_id(request)
            with acting_as(pending) if pending is not None else nullcontext():
                return self.get_response(request)
        if ended := session_limits.over(request):
            return _sign_out(request, ended)
        person = request.user
        with acting_as(person.pk):
            response = self._within_tenant(request)
        if response.status_code == 403:
            _record_denial(request, person)
        return response

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
        """Require a second factor, then a tenant: no page works without, and there is no default tenant."""
        match = request.resolver_match
        if (
            match is None
            or match.app_name != "admin"
            or match.url_name == "logout"
            or not request.user.is_authenticated
        ):
            return None
        if lacks_factor(request.user):
            messages.warning(request, "Set up a second factor first: everybody here signs in with one.")
            return HttpResponseRedirect(reverse("mfa_index"))
        if request.tenant is not None or match.url_name in WITHOUT_TENANT:
            return None
        return HttpResponseRedirect(
            f"{reverse('admin:tenant')}?{urlencode({'next': request.get_full_path()})}"
        )

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Roll back what a failed view has written. allauth raises exceptions to redirect: those are no failures."""
        if request.path.startswith("/admin/") and transaction.get_connection().in_atomic_block:
            transaction.set_rollback(True)


def chosen_tenant_id(request: HttpRequest) -> UUID | None:
    """The tenant whose rows this request may see; None while platform staff have not chosen one."""
    if request.user.tenant_id is not None:
        return request.user.tenant_id
    if request.path == reverse("admin:tenant") or (chosen := request.session.get(CHOSEN)) is None:
        return None
    return UUID(chosen)


def _pending_id(request: HttpRequest) -> UUID | None:
    """Who has given their password and owes a second factor. Our own session says so, nothing in the request."""
    login = request.session.get(LOGIN_SESSION_KEY)
    try:
        return Staff._meta.pk.to_python(login["user_pk"]) if login else None
    except ValidationError:
        return None


def _sign_out(request: HttpRequest, why: str) -> HttpResponse:
    logout(request)
    messages.info(request, why)
    target = request.get_full_path() if request.method == "GET" else reverse("admin:index")
    answer = redirect_to_login(target)
    # Where a part of a page was asked for, the page itself has to go.
    return HttpResponse(headers={"HX-Redirect": answer.url}) if "HX-Request" in request.headers else answer


def _record_denial(request: HttpRequest, person: Staff) -> None:
    """A denied call of somebody we know is an event, in the trail of the tenant that it was about."""
    tenant_id = person.tenant_id or (request.tenant and request.tenant.id)
    if tenant_id is not None:
        with tenant_scope(tenant_id):
            audit.record(
                tenant_id=tenant_id,
                actor=actor_of(person),
                action="page.denied",
                object_type="staff",
                object_id=person.pk,
                outcome=Outcome.DENIED,
                details={"method": request.method, "route": route_template(request)},
            )
