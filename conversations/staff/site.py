"""The back office: Django's admin with pages of our own instead of tables of models."""

from collections.abc import Sequence
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.views import LogoutView, redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.sites import UnfoldAdminSite

from conversations.models import Staff
from conversations.services.accounts.tenants import all_tenants
from conversations.staff.menu import menu

_with_eval = csp_update({"script-src": ["'self'", "'unsafe-eval'"]})


class BackOffice(UnfoldAdminSite):
    """Pages are added by the apps that have them: `admin.site.add_pages`."""

    site_title = "Remembrancer"
    site_header = "Remembrancer"
    home: Any = None  # the page class at /admin/

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.pages: list[tuple[str, Any, str]] = []

    def add_pages(self, pages: Sequence[tuple[str, Any, str]]) -> None:
        """(path below /admin/, page class, name) of each."""
        self.pages.extend(pages)

    def extra_urls(self) -> list[URLPattern]:
        return [
            path(route, self.admin_view(page.as_view(site=self)), name=name)
            for route, page, name in self.pages
        ]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return self.home.as_view(site=self)(request)

    def register(self, *args: Any, **options: Any) -> None:
        """Nothing: libraries would bring tables that no tenant owns."""

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if self.has_permission(request) and getattr(request, "tenant", None) is not None:
            context["menu"] = menu(request)
            context["has_sso"] = bool(settings.SSO_URL)
            if request.user.tenant_id is None:
                context["tenant_choices"] = all_tenants()
        return context

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Unfold's Alpine evaluates its attributes: here scripts may, and nowhere else."""
        return super().admin_view(_with_eval(view), cacheable)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """allauth signs people in: it knows lockout and second factors."""
        home = reverse("admin:index")
        if self.has_permission(request):
            return HttpResponseRedirect(home)
        return redirect_to_login(request.GET.get("next", home), settings.LOGIN_URL)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return LogoutView.as_view(next_page=settings.LOGIN_URL)(request)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_change_password"))

    def has_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, Staff) and super().has_permission(request)
