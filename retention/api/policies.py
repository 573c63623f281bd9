"""`/retention/policy` and the preview of what a policy would end."""

from django.http import HttpResponse

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.enums import Scope
from conversations.exceptions import Invalid
from retention.api.shapes import ApprovalIn, DueOut, PolicyIn, PolicyOut, PreviewIn, PreviewOut
from retention.api.views import ComplianceView
from retention.enums import PolicyState
from retention.policies import check_policy
from retention.services.policies import PolicyVersion, approve_policy, put_policy, read_policies
from retention.services.purges.runs import preview


class RetentionPolicyView(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: PolicyOut})
    def get(self) -> HttpResponse:
        """The policy in force, and the one that is proposed or cooling."""
        with self.reading("policy.read", "retention_policy") as tenant_id:
            current, pending = read_policies(tenant_id)
        shown = show_policy(current)
        shown.pending = None if pending is None else show_policy(pending)
        return answer(shown)

    @operation(Scope.COMPLIANCE, body=PolicyIn, answers={200: PolicyOut, 202: PolicyOut})
    def put(self, body: PolicyIn) -> HttpResponse:
        """Put a policy: in force at once, or proposed when anything would end earlier."""
        version = put_policy(
            tenant_id=self.principal.tenant_id, policy=body.policy(), actor=self.principal.actor
        )
        return answer(show_policy(version), 202 if version.state is PolicyState.PROPOSED else 200)


class PolicyApproval(ComplianceView):
    @operation(Scope.COMPLIANCE, body=ApprovalIn, answers={200: PolicyOut}, idempotent=True)
    def post(self, body: ApprovalIn) -> HttpResponse:
        """Approve a proposed version, as another person than the one who proposed it."""
        version = approve_policy(
            tenant_id=self.principal.tenant_id, version=body.version, actor=self.principal.actor
        )
        return answer(show_policy(version))


class RetentionPreview(ComplianceView):
    @operation(Scope.COMPLIANCE, body=PreviewIn, body_optional=True, answers={200: PreviewOut})
    def post(self, body: PreviewIn) -> HttpResponse:
        """What a purge would end now, under the policy in force or under another one."""
        policy = body.policy.policy("policy.") if body.policy is not None else None
        if policy is not None and (problems := check_policy(policy)):
            raise Invalid(problems)
        with self.reading("retention.previewed", "retention_policy") as tenant_id:
            previews = preview(tenant_id=tenant_id, policy=policy)
        classes = {
            one.record_class.value: DueOut(one.due.candidates, one.due.held, list(one.due.samples))
            for one in previews
        }
        return answer(PreviewOut("retention_preview", classes))


def show_policy(version: PolicyVersion) -> PolicyOut:
    policy = version.policy
    return PolicyOut(
        id=version.id,
        version=policy.version,
        status=version.state,
        messages=str(policy.messages),
        summaries=str(policy.summaries),
        archive=str(policy.archive),
        archive_mode=policy.archive_mode,
        legal_minimum=str(policy.legal_minimum),
        legal_basis=policy.legal_basis,
        timezone=policy.zone,
        proposed_by=version.proposed_by,
        approved_by=version.approved_by,
        takes_effect_at=version.takes_effect_at,
        created_at=version.created_at,
    )
