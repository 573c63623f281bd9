"""`/customers`: the people spoken with, and their sessions and messages."""

from django.http import HttpResponse
from msgspec import Struct

from conversations import presenters
from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.api.shapes import CustomerOut, ErasureCase, MessageOut, SessionOut
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.inputs import JSONObject, LanguageTag
from conversations.models import Session
from conversations.services import customers, sessions
from conversations.services.messages import reading
from conversations.tenancy import tenant_scope


class CustomerIn(Struct, forbid_unknown_fields=True):
    metadata: JSONObject | None = None
    language: LanguageTag | None = None


class Customers(TenantView):
    @operation(Scope.READ, query=PageQuery, answers={200: ListOf[CustomerOut]})
    def get(self, query: PageQuery) -> HttpResponse:
        """List customers, newest first."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            page = paginate(customers.list_customers(tenant_id), query)
            return answer(page.answer(presenters.customer))


class OneCustomer(TenantView):
    @operation(Scope.READ, answers={200: CustomerOut})
    def get(self, customer_id: str) -> HttpResponse:
        """Get a customer by their own id."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            return answer(presenters.customer(customers.known_customer(tenant_id, customer_id)))

    @operation(Scope.WRITE, body=CustomerIn, body_optional=True, answers={200: CustomerOut, 201: CustomerOut})
    def put(self, body: CustomerIn, customer_id: str) -> HttpResponse:
        """Create a customer, or replace their data."""
        customer, is_new = customers.put_customer(
            tenant_id=self.principal.tenant_id,
            external_id=customer_id,
            metadata=body.metadata or {},
            language=body.language,
        )
        return answer(presenters.customer(customer), 201 if is_new else 200)

    @operation(Scope.COMPLIANCE, answers={202: ErasureCase})
    def delete(self, customer_id: str) -> HttpResponse:
        """Erase a customer: hidden everywhere at once, verified when every store has answered."""
        case = customers.erase_customer(
            tenant_id=self.principal.tenant_id, external_id=customer_id, actor=self.principal.actor
        )
        return answer(case, 202)


class CustomerSessions(TenantView):
    @operation(Scope.READ, query=PageQuery, answers={200: ListOf[SessionOut]})
    def get(self, query: PageQuery, customer_id: str) -> HttpResponse:
        """A customer's sessions, newest first."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            customer = customers.known_customer(tenant_id, customer_id)
            rows = Session.objects.for_tenant(tenant_id).filter(customer_id=customer.id).live()
            page = paginate(rows, query)
            return answer(page.of(sessions.present_sessions(tenant_id, page.rows)))


class CustomerMessages(TenantView):
    @operation(Scope.READ, query=PageQuery, answers={200: ListOf[MessageOut]})
    def get(self, query: PageQuery, customer_id: str) -> HttpResponse:
        """A customer's messages across sessions, newest first."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            customer = customers.known_customer(tenant_id, customer_id)
            rows = reading.visible_messages(tenant_id).filter(customer_id=customer.id)
            page = paginate(rows, query)
            return answer(page.of(reading.present(tenant_id, page.rows)))
