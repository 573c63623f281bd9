"""`/erasures`: erasing a person, a session or messages, and the receipt that proves it."""

from typing import Annotated
from uuid import UUID

from django.http import HttpResponse
from msgspec import Meta, Struct

from conversations.api.answers import CONTENT_TYPE, answer
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.api.shapes import ErasureCase as ErasureCaseOut
from conversations.enums import Scope
from conversations.exceptions import Conflict
from conversations.inputs import ShortText, fold_customer
from retention.api.shapes import Reason
from retention.api.views import ComplianceView
from retention.models import ErasureCase
from retention.receipts import Receipt
from retention.services.erasures.cases import Request, get_case, open_erasure, present_case

Basis = Annotated[str, Meta(min_length=1, max_length=500)]


class ErasureIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """Exactly one of customer, session and messages, with reason and legal basis."""

    reason: Reason
    basis: Basis
    customer_id: ShortText | None = None
    user_id: ShortText | None = None
    session_id: UUID | None = None
    message_ids: Annotated[list[UUID], Meta(min_length=1, max_length=1_000)] | None = None

    def request(self) -> Request:
        return Request(
            customer_id=fold_customer(self.customer_id, self.user_id),
            session_id=self.session_id,
            message_ids=tuple(self.message_ids or ()),
        )


class Erasures(ComplianceView):
    @operation(Scope.COMPLIANCE, query=PageQuery, answers={200: ListOf[ErasureCaseOut]})
    def get(self, query: PageQuery) -> HttpResponse:
        """List erasure cases, newest first."""
        with self.reading("erasures.listed", "erasure_case") as tenant_id:
            return answer(paginate(ErasureCase.objects.for_tenant(tenant_id), query).answer(present_case))

    @operation(Scope.COMPLIANCE, body=ErasureIn, answers={202: ErasureCaseOut}, idempotent=True)
    def post(self, body: ErasureIn) -> HttpResponse:
        """Erase a customer, a session or messages: hidden and unreadable when this answers, proven later."""
        case = open_erasure(
            tenant_id=self.principal.tenant_id,
            request=body.request(),
            reason=body.reason,
            basis=body.basis,
            actor=self.principal.actor,
        )
        return answer(present_case(case), 202)


class OneErasure(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: ErasureCaseOut})
    def get(self, case_id: UUID) -> HttpResponse:
        """Get an erasure case."""
        with self.reading("erasure.read", "erasure_case", case_id) as tenant_id:
            return answer(present_case(get_case(tenant_id, case_id)))


class ErasureReceipt(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: Receipt})
    def get(self, case_id: UUID) -> HttpResponse:
        """Get the receipt, byte for byte as it was signed."""
        with self.reading("erasure.receipt_read", "erasure_case", case_id) as tenant_id:
            case = get_case(tenant_id, case_id)
            if case.receipt is None:
                raise Conflict("There is no receipt yet: not every store has answered that nothing is left.")
            return HttpResponse(bytes(case.receipt), content_type=CONTENT_TYPE)
