"""A small API on the real base: what the infrastructure is tested with, apart from any resource."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from msgspec import Meta

from conversations.api.answers import answer, check_if_match, etag, no_content
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.api.views import TenantView
from conversations.enums import KeyOwner, Scope
from conversations.exceptions import Conflict
from conversations.models import Customer
from conversations.services.idempotency import Shown
from conversations.tenancy import tenant_scope


class CustomerIn(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    external_id: Annotated[str, Meta(min_length=1, max_length=20)]
    language: str | None = None


class CustomerOut(msgspec.Struct, kw_only=True):
    object: Literal["customer"] = "customer"
    id: UUID
    external_id: str


class CustomersQuery(PageQuery, frozen=True, kw_only=True):
    language: str | None = None
    held: bool | None = None

    aliases: ClassVar = {"tongue": "language"}


class Customers(TenantView):
    @operation(Scope.READ, query=CustomersQuery, answers={200: ListOf[CustomerOut]})
    def get(self, query: CustomersQuery) -> HttpResponse:
        """List customers."""
        with tenant_scope(self.principal.tenant_id):
            page = paginate(Customer.objects.for_tenant(self.principal.tenant_id), query)
            return answer(page.answer(show))

    @operation(Scope.WRITE, body=CustomerIn, answers={201: CustomerOut}, idempotent=True)
    def post(self, body: CustomerIn) -> HttpResponse:
        """Make a customer, or fail as the name asks."""
        with tenant_scope(self.principal.tenant_id):
            row = Customer.objects.create(
                tenant_id=self.principal.tenant_id, external_id=body.external_id, language=body.language
            )
            if body.external_id == "conflict":
                raise Conflict
            if body.external_id == "defect":
                raise RuntimeError("alice@example.com went wrong")
            if body.external_id == "away":
                raise OperationalError("the connection is lost")
            return answer(show(row), 201, shown=Shown(KeyOwner.CUSTOMER, row.id, (row.id,)))


class OneCustomer(TenantView):
    @operation(Scope.WRITE, answers={204: None}, conditional=True)
    def delete(self, customer_id: UUID) -> HttpResponse:
        """Delete under a precondition; the version is always 7."""
        check_if_match(self.http, 7)
        response = no_content()
        response["ETag"] = etag(7)
        return response

    def put(self, request: Any, customer_id: UUID) -> HttpResponse:
        """Nobody declared who may do this."""
        return answer("reached")


class Outcome(msgspec.Struct, forbid_unknown_fields=True):
    success: bool | None = None


class Closing(TenantView):
    @operation(Scope.WRITE, body=Outcome, body_optional=True, answers={200: Outcome})
    def post(self, body: Outcome) -> HttpResponse:
        """Close something, with or without a body."""
        return answer(body)


def show(row: Customer) -> CustomerOut:
    return CustomerOut(id=row.id, external_id=row.external_id or "")


def plain(request: HttpRequest) -> HttpResponse:
    """A view of Django's own kind that fails."""
    raise OperationalError("the connection is lost")


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


urlpatterns = [
    path("admin/plain", plain),
    path("admin/forbidden", forbidden),
    path("elsewhere/", admin.site.urls),  # where the links of a page lead to
    path("accounts/", include("conversations.staff.urls")),
    path("forbidden", forbidden),
    path("", include("conversations.api.public_urls")),
    path("api/v1/customers", Customers.as_view()),
    path("api/v1/bypassing", Customers.bypassing_drf("POST")),
    path("api/v1/customers/<uuid:customer_id>", OneCustomer.as_view()),
    path("api/v1/closing", Closing.as_view()),
    path("api/v1/plain", plain),
]

handler400 = "conversations.api.problems.bad_request"
handler403 = "conversations.api.problems.permission_denied"
handler404 = "conversations.api.problems.page_not_found"
handler500 = "conversations.api.problems.server_error"
