"""`/customers/{id}/portrait`: what is known about a customer, versioned."""

from django.http import HttpResponse

from conversations import ids
from conversations.api.answers import answer, check_if_match, etag
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.services.customers import known_customer
from conversations.tenancy import tenant_scope
from portraits import presenters
from portraits.api.shapes import PortraitOut
from portraits.inputs import PortraitPatch
from portraits.portrayal import Portrayal
from portraits.services import history, portraits


class OnePortrait(TenantView):
    @operation(Scope.READ, answers={200: PortraitOut}, conditional=True)
    def get(self, customer_id: str) -> HttpResponse:
        """Get what is known about a customer."""
        return _answer(portraits.get_portrait(self.principal.tenant_id, customer_id))

    @operation(Scope.WRITE, body=PortraitPatch, answers={200: PortraitOut}, conditional=True)
    def patch(self, body: PortraitPatch, customer_id: str) -> HttpResponse:
        """Change a portrait (JSON merge patch); traits merge by name."""
        portrayal = portraits.patch_portrait(
            tenant_id=self.principal.tenant_id,
            external_id=customer_id,
            patch=body,
            precondition=lambda version: check_if_match(self.http, version),
        )
        return _answer(portrayal)


class PortraitHistory(TenantView):
    @operation(Scope.READ, query=PageQuery, answers={200: ListOf[PortraitOut]})
    def get(self, query: PageQuery, customer_id: str) -> HttpResponse:
        """List earlier versions of the portrait, newest first."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            customer = known_customer(tenant_id, customer_id)
            page = paginate(history.versions(tenant_id, customer), query)
            return answer(page.of(history.present_versions(customer, page.rows)))


def _answer(portrayal: Portrayal) -> HttpResponse:
    shown = presenters.portrayal(portrayal, ids.now())
    return answer(shown, headers={"ETag": etag(portrayal.version)})
