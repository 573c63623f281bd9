"""`/holds`: placed by one person, released by two."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpResponse

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.enums import Scope
from conversations.exceptions import NotFound
from conversations.inputs import fold_customer
from conversations.services.messages.reading import external_ids
from conversations.tenancy import tenant_scope
from retention.api.shapes import HeldMessageOut, HoldIn, HoldOut, ReasonBody
from retention.api.views import ComplianceView
from retention.models import LegalHold
from retention.presenters import show_hold
from retention.services.held_records import HeldRecord, read_held_records
from retention.services.holds import HoldScope, place_hold, release_hold


class Holds(ComplianceView):
    @operation(Scope.COMPLIANCE, query=PageQuery, answers={200: ListOf[HoldOut]})
    def get(self, query: PageQuery) -> HttpResponse:
        """List legal holds, newest first."""
        with self.reading("holds.listed", "legal_hold") as tenant_id:
            page = paginate(LegalHold.objects.for_tenant(tenant_id), query)
            return answer(page.of(_show(tenant_id, page.rows)))

    @operation(Scope.COMPLIANCE, body=HoldIn, answers={201: HoldOut}, idempotent=True)
    def post(self, body: HoldIn) -> HttpResponse:
        """Place a legal hold: in force when this answers."""
        tenant_id = self.principal.tenant_id
        hold = place_hold(
            tenant_id=tenant_id,
            scope=HoldScope(
                customer_id=fold_customer(body.customer_id, body.user_id),
                session_id=body.session_id,
                start_time=body.start_time,
                end_time=body.end_time,
            ),
            matter=body.matter,
            reason=body.reason,
            actor=self.principal.actor,
        )
        with tenant_scope(tenant_id):
            return answer(_show(tenant_id, [hold])[0], 201)


class OneHold(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: HoldOut})
    def get(self, hold_id: UUID) -> HttpResponse:
        """Get a legal hold."""
        with self.reading("hold.read", "legal_hold", hold_id) as tenant_id:
            return answer(_show(tenant_id, [_hold(tenant_id, hold_id)])[0])


class HoldRelease(ComplianceView):
    @operation(Scope.COMPLIANCE, body=ReasonBody, answers={200: HoldOut, 202: HoldOut}, idempotent=True)
    def post(self, body: ReasonBody, hold_id: UUID) -> HttpResponse:
        """Request the release of a hold, or grant it as another person."""
        tenant_id = self.principal.tenant_id
        hold = release_hold(
            tenant_id=tenant_id, hold_id=hold_id, reason=body.reason, actor=self.principal.actor
        )
        with tenant_scope(tenant_id):
            return answer(_show(tenant_id, [hold])[0], 202 if hold.released_at is None else 200)


class HeldMessages(ComplianceView):
    @operation(Scope.COMPLIANCE, query=PageQuery, answers={200: ListOf[HeldMessageOut]})
    def get(self, query: PageQuery, hold_id: UUID) -> HttpResponse:
        """List every message that the hold covers, live or archived, newest first."""
        descending = query.order != "asc"
        older, newer = (query.after, query.before) if descending else (query.before, query.after)
        walks_down = descending == (query.before is None)
        with self.reading("hold.messages_listed", "legal_hold", hold_id) as tenant_id:
            found = read_held_records(
                _hold(tenant_id, hold_id),
                limit=query.limit + 1,
                descending=walks_down,
                older_than=older,
                newer_than=newer,
            )
            kept = list(found[: query.limit])
            shown = _show_messages(tenant_id, kept[::-1] if query.before is not None else kept)
        return answer(
            ListOf(
                data=shown,
                first_id=str(shown[0].id) if shown else None,
                last_id=str(shown[-1].id) if shown else None,
                has_more=len(found) > query.limit,
            )
        )


def _hold(tenant_id: UUID, hold_id: UUID) -> LegalHold:
    hold = LegalHold.objects.for_tenant(tenant_id).filter(id=hold_id).first()
    if hold is None:
        raise NotFound
    return hold


def _show(tenant_id: UUID, holds: Sequence[LegalHold]) -> list[dict[str, Any]]:
    customers = external_ids(tenant_id, {hold.customer_id for hold in holds})
    return [show_hold(hold, customers.get(hold.customer_id)) for hold in holds]


def _show_messages(tenant_id: UUID, records: Sequence[HeldRecord]) -> list[HeldMessageOut]:
    customers = external_ids(tenant_id, {record.customer_id for record in records})
    return [
        HeldMessageOut(
            id=record.id,
            state=record.state,
            message_id=record.id,
            session_id=record.session_id,
            customer_id=customers.get(record.customer_id),
            role=record.role,
            position=record.position,
            text=record.text,
            created_at=record.created_at,
        )
        for record in records
    ]
