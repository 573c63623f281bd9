"""`/customers/{id}/summary`: a customer's counters."""

from django.http import HttpResponse

from conversations.api.answers import answer, no_content
from conversations.api.operations import operation
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.services.customers import known_customer
from conversations.tenancy import tenant_scope
from portraits import presenters
from portraits.api.shapes import InteractionSummaryOut
from portraits.inputs import SummaryIn
from portraits.services import summaries


class OneSummary(TenantView):
    @operation(Scope.READ, answers={200: InteractionSummaryOut})
    def get(self, customer_id: str) -> HttpResponse:
        """Get a customer's counters, exact as of now."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            customer = known_customer(tenant_id, customer_id)
            return answer(presenters.summary(customer, summaries.read_summary(tenant_id, customer)))

    @operation(Scope.WRITE, body=SummaryIn, answers={200: InteractionSummaryOut})
    def put(self, body: SummaryIn, customer_id: str) -> HttpResponse:
        """Set a baseline from another system, to which our counters add."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            customer = summaries.set_baseline(tenant_id=tenant_id, external_id=customer_id, baseline=body)
            return answer(presenters.summary(customer, summaries.read_summary(tenant_id, customer)))

    @operation(Scope.WRITE, answers={204: None})
    def delete(self, customer_id: str) -> HttpResponse:
        """Drop the baseline."""
        summaries.drop_baseline(tenant_id=self.principal.tenant_id, external_id=customer_id)
        return no_content()
