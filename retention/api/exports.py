"""`/customers/{id}/export`: everything that is held about a person, for that person."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpResponse
from msgspec import Meta, Struct

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.enums import KeyOwner, Scope
from conversations.exceptions import NotFound
from conversations.inputs import ShortText
from conversations.manifests import ManifestFile
from conversations.services.idempotency import Shown
from conversations.services.messages.reading import external_ids
from retention.api.views import ComplianceView
from retention.enums import ExportState
from retention.models import ExportJob
from retention.services.exports.customers import export_customer, manifest_of
from retention.services.exports.file_store import open_export

ZIP = "application/zip"


class ExportIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """Numbers and addresses that the person proved to be theirs are not masked."""

    identifiers: Annotated[list[ShortText], Meta(max_length=100)] = []
    reason: Annotated[str, Meta(max_length=2_000)] = ""


class ExportOut(Struct, kw_only=True):
    object: Literal["export"] = "export"
    id: UUID
    customer_id: str | None
    state: ExportState
    files: list[ManifestFile]
    url: str
    created_at: datetime
    expires_at: datetime


class CustomerExport(ComplianceView):
    @operation(Scope.COMPLIANCE, body=ExportIn, body_optional=True, answers={201: ExportOut}, idempotent=True)
    def post(self, body: ExportIn, customer_id: str) -> HttpResponse:
        """Export everything held about a customer: JSON Lines, a readable page and a manifest, for a week."""
        tenant_id = self.principal.tenant_id
        job = export_customer(
            tenant_id=tenant_id,
            external_id=customer_id,
            actor=self.principal.actor,
            identifiers=body.identifiers,
            reason=body.reason,
        )
        assert job.customer_id is not None
        shown = Shown(KeyOwner.CUSTOMER, job.customer_id, (job.customer_id,))
        return answer(_show(job, customer_id), 201, shown=shown)


class OneExport(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: ExportOut})
    def get(self, export_id: UUID) -> HttpResponse:
        """Get the manifest of an export."""
        with self.reading("export.read", "export", export_id) as tenant_id:
            job = _job(tenant_id, export_id)
            return answer(_show(job, external_ids(tenant_id, {job.customer_id}).get(job.customer_id)))


class ExportDownload(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: None}, media_types=(ZIP,))
    def get(self, export_id: UUID) -> HttpResponse:
        """Download an export as a zip archive."""
        with self.reading("export.downloaded", "export", export_id) as tenant_id:
            data = open_export(_job(tenant_id, export_id))
        headers = {"Content-Disposition": f'attachment; filename="export-{export_id}.zip"'}
        return HttpResponse(data, content_type=ZIP, headers=headers)


def _job(tenant_id: UUID, export_id: UUID) -> ExportJob:
    job = ExportJob.objects.for_tenant(tenant_id).filter(id=export_id).first()
    if job is None:
        raise NotFound
    return job


def _show(job: ExportJob, customer: str | None) -> ExportOut:
    return ExportOut(
        id=job.id,
        customer_id=customer,
        state=ExportState(job.state),
        files=manifest_of(job),
        url=f"/api/v1/exports/{job.id}/download",
        created_at=job.created_at,
        expires_at=job.expires_at,
    )
