"""One tenant with something on every page, each text of it the same: a plain one, or one that means harm."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from conversations.inputs import Attachment, MessageIn, SessionIn
from conversations.mirror.drain import drain
from conversations.models import AuditEvent, Customer, Session, Staff, Tenant
from conversations.principals import SYSTEM, Actor, ActorKind
from conversations.services import sessions
from conversations.services.accounts.api_keys import create_key
from conversations.services.messages.appends import append_messages
from conversations.tenancy import tenant_scope
from portraits.services.preferences import set_preference
from retention.enums import ArchiveMode, RecordClass
from retention.models import ArchiveRecord, ErasureCase, ExportJob, LegalHold, PurgeRun
from retention.periods import Period
from retention.policies import Policy
from retention.services.audit.sealing import seal_audit
from retention.services.erasures.cases import Request, open_erasure
from retention.services.erasures.execution import follow_cases
from retention.services.exports.evidence import make_pending_evidence, request_evidence
from retention.services.holds import HoldScope, place_hold
from retention.services.policies import put_policy
from retention.services.purges.runs import purge
from tests.retention.factories import ago

LISTS = {
    "home": "",
    "conversations": "conversations/",
    "customers": "customers/",
    "retention": "retention/",
    "purge runs": "purge-runs/",
    "archive": "archive/",
    "holds": "holds/",
    "place hold": "holds/place/",
    "erasures": "erasures/",
    "verify receipt": "verify-receipt/",
    "exports": "exports/",
    "audit": "audit/",
    "operations": "operations/",
    "API keys": "operations/keys/",
    "people": "people/",
    "new person": "people/new/",
    "groups": "people/groups/",
}


@dataclass(frozen=True)
class Furnished:
    tenant: Tenant
    session: UUID
    customer: UUID
    details: Mapping[str, str]  # pages that name one thing of the tenant

    @property
    def pages(self) -> dict[str, str]:
        return {name: f"/admin/{path}" for name, path in {**LISTS, **self.details}.items()}


def furnish(tenant: Tenant, person: Staff, text: str = "plain") -> Furnished:
    """Conversations live and archived, a portrait, a hold, an erasure, a run, a policy, an export, a key, a trail."""
    actor = Actor(ActorKind.STAFF, person.username)
    name = f"c {text}"[:255]
    kept = _conversation(tenant, name, text)
    _conversation(tenant, f"gone {text}"[:255], text)
    set_preference(tenant_id=tenant.id, external_id=name, key="colour", value=text)
    drain()
    hold = place_hold(
        tenant_id=tenant.id, scope=HoldScope(session_id=kept.id), matter=text, reason=text, actor=actor
    )
    run = purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    case = open_erasure(
        tenant_id=tenant.id,
        request=Request(customer_id=f"gone {text}"[:255]),
        reason=text,
        basis=text,
        actor=actor,
    )
    follow_cases(seconds=30)
    _conversation(tenant, f"third {text}"[:255], text)
    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    policy = Policy(
        messages=Period(days=30),
        summaries=Period(years=2),
        archive=Period(years=7),
        archive_mode=ArchiveMode.SEALED,
        legal_basis=text,
    )
    put_policy(tenant_id=tenant.id, policy=policy, actor=actor)
    job = request_evidence(
        tenant_id=tenant.id, session_ids=[kept.id], originals=False, reason=text, actor=actor
    )
    seal_audit()
    make_pending_evidence()
    create_key(tenant=tenant, scopes=["read"], person=text[:200], actor=actor)
    with tenant_scope(tenant.id):
        customer = Customer.objects.get(id=kept.customer_id)
        record = ArchiveRecord.objects.order_by("-id").first()
        event = AuditEvent.objects.get(action="hold.placed")
        assert record is not None
        assert PurgeRun.objects.filter(id=run.id).exists()
        assert ErasureCase.objects.filter(id=case.id).exists()
        assert ExportJob.objects.filter(id=job.id).exists()
        assert LegalHold.objects.filter(id=hold.id).exists()
    return Furnished(
        tenant,
        kept.id,
        customer.id,
        {
            "transcript": f"conversations/{kept.id}/",
            "erase conversation": f"conversations/{kept.id}/erase/",
            "customer": f"customers/{customer.id}/",
            "erase customer": f"customers/{customer.id}/erase/",
            "export customer": f"customers/{customer.id}/export/",
            "purge run": f"purge-runs/{run.id}/",
            "archived": f"archive/{record.id}/",
            "hold": f"holds/{hold.id}/",
            "place hold on a conversation": f"holds/place/?session={kept.id}",
            "erasure": f"erasures/{case.id}/",
            "export": f"exports/{job.id}/",
            "export evidence": f"exports/evidence/?session={kept.id}",
            "audit event": f"audit/{event.id}/",
            "person": f"people/{person.pk}/",
        },
    )


def _conversation(tenant: Tenant, customer: str, text: str) -> Session:
    """Half of it past its period, half live."""
    body = SessionIn(
        customer_id=customer,
        external_id=f"s {customer}"[:255],
        title=text,
        channel=text[:64],
        language="ar",
        outlet_id=text[:128],
        intents={"primary": text},
        metadata={text[:50]: text},
        created_at=ago(120),
    )
    session = sessions.create_session(tenant_id=tenant.id, body=body)[0]
    given = [_message(text, days) for days in (120, 119, 2, 1)]
    append_messages(tenant_id=tenant.id, session_id=session.id, given=given)
    return session


def _message(text: str, days: int) -> MessageIn:
    return MessageIn(
        content=text,
        role="user" if days % 2 else "assistant",
        name=text[:200],
        intent=text[:200],
        model=text[:200],
        agent_responses={text[:50]: {text[:50]: text}},
        attachments=[Attachment(kind="transcription", text=text, data={text[:50]: text}, uri=text)],
        metadata={text[:50]: text},
        created_at=ago(days),
    )
