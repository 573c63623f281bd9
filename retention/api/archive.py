"""`/archive`, and revealing single messages: originals require a reason."""

from collections.abc import Sequence
from uuid import UUID

from django.http import HttpResponse

from conversations import ids
from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.api.shapes import MessageOut
from conversations.enums import Scope
from conversations.inputs import ShortText
from conversations.services.customers import find_customer
from conversations.services.messages.reading import external_ids
from conversations.tenancy import tenant_scope
from retention.api.shapes import (
    ArchiveHitOut,
    ArchiveHitsOut,
    ArchiveRecordOut,
    ArchiveSearchIn,
    ReasonBody,
)
from retention.api.views import ComplianceView
from retention.enums import ArchiveMode
from retention.models import ArchiveRecord
from retention.services.archive import expires_at, open_archived, readable_records, search_archive
from retention.services.policies import policy_in_force
from retention.services.reveals import reveal_message


class ArchiveQuery(PageQuery, frozen=True, kw_only=True):
    customer_id: ShortText | None = None
    session_id: UUID | None = None

    aliases = {"user_id": "customer_id"}


class Archive(ComplianceView):
    @operation(Scope.COMPLIANCE, query=ArchiveQuery, answers={200: ListOf[ArchiveRecordOut]})
    def get(self, query: ArchiveQuery) -> HttpResponse:
        """List archive records by their scrubbed text, newest first."""
        with self.reading("archive.listed", "archive_record") as tenant_id:
            records = readable_records(tenant_id)
            customer = find_customer(tenant_id, query.customer_id) if query.customer_id else None
            if query.customer_id is not None and customer is None:
                records = records.none()
            else:
                records = records.about(customer.id if customer else None, query.session_id)
            page = paginate(records, query)
            return answer(page.of(_show(tenant_id, page.rows)))


class ArchiveSearch(ComplianceView):
    @operation(Scope.COMPLIANCE, body=ArchiveSearchIn, answers={200: ArchiveHitsOut})
    def post(self, body: ArchiveSearchIn) -> HttpResponse:
        """Search the archive by its scrubbed text."""
        tenant_id = self.principal.tenant_id
        found = search_archive(
            tenant_id=tenant_id, query=body.query, limit=body.limit, actor=self.principal.actor
        )
        with tenant_scope(tenant_id):
            shown = _show(tenant_id, [record for record, _ in found.hits])
        hits = [
            ArchiveHitOut(score=score, archive_record=one)
            for one, (_, score) in zip(shown, found.hits, strict=True)
        ]
        return answer(ArchiveHitsOut(data=hits, stores=list(found.stores), degraded=list(found.degraded)))


class ArchiveOpening(ComplianceView):
    @operation(Scope.COMPLIANCE, body=ReasonBody, answers={200: MessageOut})
    def post(self, body: ReasonBody, record_id: UUID) -> HttpResponse:
        """Open an archive record: the message with its original content."""
        return answer(
            open_archived(
                tenant_id=self.principal.tenant_id,
                record_id=record_id,
                reason=body.reason,
                actor=self.principal.actor,
            )
        )


class MessageReveal(ComplianceView):
    @operation(Scope.COMPLIANCE, body=ReasonBody, answers={200: MessageOut})
    def post(self, body: ReasonBody, message_id: UUID) -> HttpResponse:
        """Reveal the original of a message, also of one that a hold keeps beyond use."""
        return answer(
            reveal_message(
                tenant_id=self.principal.tenant_id,
                message_id=message_id,
                reason=body.reason,
                actor=self.principal.actor,
            )
        )


def _show(tenant_id: UUID, records: Sequence[ArchiveRecord]) -> list[ArchiveRecordOut]:
    policy = policy_in_force(tenant_id, ids.now())
    customers = external_ids(tenant_id, {record.customer_id for record in records})
    return [
        ArchiveRecordOut(
            id=record.id,
            message_id=record.id,
            session_id=record.session_id,
            customer_id=customers.get(record.customer_id),
            role=record.role,
            position=record.position,
            mode=ArchiveMode(record.mode),
            text=record.scrubbed,
            created_at=record.created_at,
            archived_at=record.archived_at,
            expires_at=expires_at(record, policy),
        )
        for record in records
    ]
