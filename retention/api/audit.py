"""The audit trail: events, inclusion proofs, and verification of the whole trail."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpResponse
from msgspec import Struct

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.canonical import instant
from conversations.enums import Outcome, Scope
from conversations.models import AuditEvent, AuditLeaf, Tenant
from conversations.services import audit
from conversations.tenancy import tenant_scope
from retention.api.views import ComplianceView
from retention.audit_walk import Finding
from retention.services.audit.reading import EventFilter, Proof, find_events, leaves_of, prove_event
from retention.services.audit.verifying import verify_audit


class AuditEventsQuery(PageQuery, frozen=True, kw_only=True):
    action: str | None = None
    actor: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    outcome: Literal["ok", "denied", "failed"] | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


class AuditEventOut(Struct, kw_only=True):
    """Without `created_at` and `leaf_hash`, with `tenant`, as canonical JSON: what was hashed."""

    id: UUID
    object: Literal["audit_event"] = "audit_event"
    at: str
    actor: str
    actor_kind: str
    action: str
    object_type: str
    object_id: str | None
    outcome: Outcome
    request_id: str | None
    details: dict[str, Any]
    sequence: int | None
    leaf_hash: str | None
    created_at: datetime


class SignedCheckpoint(Struct, kw_only=True):
    """`signed` is the text of a C2SP tlog-checkpoint, `signature` is Ed25519 over it; both with the key in base64."""

    tree_size: int
    root_hash: str
    signed: str
    signature: str
    public_key: str
    note: str


class InclusionProof(Struct, kw_only=True):
    """RFC 6962: SHA-256(0x00 || leaf) is the leaf at `leaf_index` of the tree that was signed."""

    object: Literal["inclusion_proof"] = "inclusion_proof"
    leaf_index: int
    tree_size: int
    leaf: str
    audit_path: list[str]
    checkpoint: SignedCheckpoint


class AuditVerification(Struct, kw_only=True):
    object: Literal["audit_verification"] = "audit_verification"
    ok: bool
    findings: list[Finding]
    events: int
    checkpoints: int
    witnessed: int


class AuditEvents(ComplianceView):
    @operation(Scope.COMPLIANCE, query=AuditEventsQuery, answers={200: ListOf[AuditEventOut]})
    def get(self, query: AuditEventsQuery) -> HttpResponse:
        """List audit events, newest first."""
        names = EventFilter.__dataclass_fields__
        wanted = EventFilter(**{name: getattr(query, name) for name in names})
        with self.reading("audit.listed", "audit_event") as tenant_id:
            page = paginate(find_events(tenant_id, wanted), query)
            leaves = leaves_of(tenant_id, [event.id for event in page.rows])
            return answer(page.answer(lambda event: _shown(event, leaves)))


class AuditEventProof(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: InclusionProof})
    def get(self, event_id: UUID) -> HttpResponse:
        """Prove that an event is in the signed tree."""
        with self.reading("audit.proved", "audit_event", event_id) as tenant_id:
            return answer(_proof(prove_event(tenant_id, event_id)))


class AuditVerifying(ComplianceView):
    @operation(Scope.COMPLIANCE, answers={200: AuditVerification})
    def get(self) -> HttpResponse:
        """Verify the whole trail against its checkpoints and the witness."""
        tenant_id = self.principal.tenant_id
        found = verify_audit(Tenant.objects.using("ops").get(id=tenant_id))
        with tenant_scope(tenant_id):
            audit.record(
                tenant_id=tenant_id,
                actor=self.principal.actor,
                action="audit.verified",
                object_type="audit_event",
                outcome=Outcome.OK if found.ok else Outcome.FAILED,
                details={"events": found.events, "findings": len(found.findings)},
            )
        return answer(
            AuditVerification(
                ok=found.ok,
                findings=list(found.findings),
                events=found.events,
                checkpoints=found.checkpoints,
                witnessed=found.witnessed,
            )
        )


def _shown(event: AuditEvent, leaves: Mapping[UUID, AuditLeaf]) -> AuditEventOut:
    leaf = leaves.get(event.id)
    return AuditEventOut(
        id=event.id,
        at=instant(event.created_at),
        actor=event.actor,
        actor_kind=event.actor_kind,
        action=event.action,
        object_type=event.object_type,
        object_id=event.object_id,
        outcome=Outcome(event.outcome),
        request_id=event.request_id,
        details=event.details,
        sequence=None if leaf is None else leaf.sequence,
        leaf_hash=None if leaf is None else bytes(leaf.leaf_hash).hex(),
        created_at=event.created_at,
    )


def _proof(proof: Proof) -> InclusionProof:
    return InclusionProof(
        leaf_index=proof.index,
        tree_size=proof.tree_size,
        leaf=b64encode(proof.data).decode(),
        audit_path=[sibling.hex() for sibling in proof.path],
        checkpoint=SignedCheckpoint(
            tree_size=proof.tree_size,
            root_hash=proof.root_hash.hex(),
            signed=b64encode(proof.signed).decode(),
            signature=b64encode(proof.signature).decode(),
            public_key=str(proof.public_key),
            note=proof.note,
        ),
    )
