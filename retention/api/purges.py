"""`/purge-runs`: what purges did, and the confirmation of one that the fuse stopped."""

from uuid import UUID

from django.http import HttpResponse

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.enums import Scope
from conversations.exceptions import NotFound
from retention.api.shapes import PurgeRunOut, ReasonBody
from retention.api.views import ComplianceView
from retention.models import PurgeRun
from retention.presenters import show_run
from retention.services.purges.runs import confirm_run
from retention.tasks import wake_purge


class PurgeRuns(ComplianceView):
    @operation(Scope.COMPLIANCE, query=PageQuery, answers={200: ListOf[PurgeRunOut]})
    def get(self, query: PageQuery) -> HttpResponse:
        """List purge runs, newest first."""
        with self.reading("purges.listed", "purge_run") as tenant_id:
            page = paginate(PurgeRun.objects.for_tenant(tenant_id), query)
            return answer(page.answer(show_run))


class OnePurgeRun(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: PurgeRunOut})
    def get(self, run_id: UUID) -> HttpResponse:
        """Get a purge run."""
        with self.reading("purge.read", "purge_run", run_id) as tenant_id:
            run = PurgeRun.objects.for_tenant(tenant_id).filter(id=run_id).first()
            if run is None:
                raise NotFound
            return answer(show_run(run))


class PurgeConfirmation(ComplianceView):
    @operation(Scope.COMPLIANCE, body=ReasonBody, answers={200: PurgeRunOut}, idempotent=True)
    def post(self, body: ReasonBody, run_id: UUID) -> HttpResponse:
        """Confirm a run that the fuse stopped."""
        run = confirm_run(
            tenant_id=self.principal.tenant_id,
            run_id=run_id,
            reason=body.reason,
            actor=self.principal.actor,
        )
        wake_purge()
        return answer(show_run(run))
