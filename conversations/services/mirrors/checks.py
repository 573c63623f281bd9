"""Mirror checks requested by a person, whose results are recorded in the audit trail."""

from uuid import UUID

from conversations.enums import Outcome, Sink
from conversations.mirror.verifying import Verdict, verify
from conversations.models import AuditEvent
from conversations.principals import Actor
from conversations.services import audit
from conversations.tenancy import tenant_scope

VERIFIED = "mirrors.verified"
SHOWN = 5


def verify_mirrors(*, tenant_id: UUID, repair: bool, actor: Actor) -> bool:
    """Compare every store, mending what differs if asked; whether all agree."""
    verdicts = {
        sink.label.lower(): verify(sink, [tenant_id], repair=repair, tell=_say_nothing) for sink in Sink
    }
    agree = all(verdict is None or verdict.agrees for verdict in verdicts.values())
    with tenant_scope(tenant_id):
        audit.record(
            tenant_id=tenant_id,
            actor=actor,
            action=VERIFIED,
            object_type="tenant",
            object_id=tenant_id,
            outcome=Outcome.OK if agree else Outcome.FAILED,
            details={"repair": repair, **{name: _counts(verdict) for name, verdict in verdicts.items()}},
        )
    return agree


def latest_checks(tenant_id: UUID) -> list[AuditEvent]:
    """What the last few checks found, newest first. Runs inside a tenant scope."""
    events = AuditEvent.objects.for_tenant(tenant_id).filter(action=VERIFIED, object_id=str(tenant_id))
    return list(events.order_by("-id")[:SHOWN])


def _counts(verdict: Verdict | None) -> dict[str, int | str]:
    if verdict is None:
        return {"state": "off"}
    if verdict.unreachable:
        return {"state": "unreachable"}
    counts = ("checked", "missing", "stale", "extra", "repaired")
    return {name: getattr(verdict, name) for name in counts}


def _say_nothing(_: str) -> None:
    pass
