"""Erasure cases, each opened in one transaction.

Once a case is open, no agent sees its target, nothing that is not deferred can be decrypted any more, and late
arrivals are refused. `execution` then deletes the rows and asks every store until the proof is complete.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from conversations import ids, keyring
from conversations.exceptions import Erased, Held, Invalid, NotFound
from conversations.inputs import require_text
from conversations.mirror.waking import Waker, wake
from conversations.models import Message, Session, Tombstone
from conversations.ports import Target
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.customers import lock_customer
from conversations.services.holdings import IdempotencyHolding, KeyHolding, count_records
from conversations.services.late_arrivals import explain_absence, explain_missing_customer
from conversations.tenancy import tenant_scope
from retention.enums import CaseScope, CaseState
from retention.models import ArchiveRecord, ErasureCase, ErasureTask
from retention.periods import Period, expires_at
from retention.services import holds, locks
from retention.services.erasures import deferring, hiding, mirrors
from retention.services.erasures.deferrals import describe_deferrals
from retention.two_persons import person

DUE = Period(months=1)  # GDPR 12 (3)

wake_erasures = Waker("retention.follow_erasures").wake


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be erased, as it was requested; exactly one of the three."""

    customer_id: str | None = None  # the customer's own external id
    session_id: UUID | None = None
    message_ids: tuple[UUID, ...] = ()


def open_erasure(*, tenant_id: UUID, request: Request, reason: str, basis: str, actor: Actor) -> ErasureCase:
    """Open an erasure case: the target is hidden and unreadable when this returns, the proof follows.

    What a hold or a legal minimum covers is deferred. Invalid without reason or basis, NotFound for what is unknown,
    Erased (with the case's id) for what is already gone. Runs in its own transaction, or in the open tenant scope.
    """
    require_text(reason=reason, basis=basis)
    with tenant_scope(tenant_id):
        target = find_target(tenant_id, request)
        return open_case(
            tenant_id=tenant_id, target=target, reason=reason, basis=basis, actor=actor, word="erased"
        )


def delete_through_api(
    *, tenant_id: UUID, target: Target, actor: Actor, reason: str, basis: str
) -> Mapping[str, Any]:
    """Delete what an agent deletes; Held when a hold covers any of it. Of a customer, what is held is deferred."""
    locks.share(tenant_id)  # no hold may be placed between the check and the hiding
    held: set[UUID] = set()
    if target.session_id is not None:
        held = holds.held_sessions(tenant_id, [target.session_id])
    elif target.message_ids:
        held = holds.held_messages(tenant_id, target.message_ids)
    if held:
        raise Held
    case = open_case(
        tenant_id=tenant_id, target=target, reason=reason, basis=basis, actor=actor, word="deleted"
    )
    return present_case(case)


def find_target(tenant_id: UUID, request: Request) -> Target:
    """The rows that are meant, locked where they can be written to. Runs inside a tenant scope."""
    match request:
        case Request(customer_id=str(external_id), session_id=None, message_ids=()):
            return _find_customer(tenant_id, external_id)
        case Request(customer_id=None, session_id=UUID() as session_id, message_ids=()):
            return _find_session(tenant_id, session_id)
        case Request(customer_id=None, session_id=None, message_ids=message_ids) if message_ids:
            return _find_messages(tenant_id, message_ids)
    detail = "Give one of `customer_id`, `session_id` and `message_ids`."
    raise Invalid.field("customer_id", detail, code="one_of")


def open_case(
    *,
    tenant_id: UUID,
    target: Target,
    reason: str,
    basis: str,
    actor: Actor,
    word: str,
    case_id: UUID | None = None,
) -> ErasureCase:
    """Everything that has to happen at once. Runs inside a tenant scope; `word` is the reason in the tombstones."""
    locks.share(tenant_id)
    law = deferring.read_law(tenant_id)
    case = new_case(
        tenant_id, target, reason=reason, basis=basis, actor=actor, scope=_scope(target), case_id=case_id
    )
    _count(case, target)
    deferring.pack_person(case, target, law)
    hiding.hide(case, target, reason=word)
    deferring.seal_deferred(case, target, law)
    # While the keys are there, and together with what made them useless.
    IdempotencyHolding().erase(tenant_id, target)
    case.keys_destroyed = KeyHolding().erase(tenant_id, target)
    case.keys_destroyed_at = ids.now()
    case.deferrals = describe_deferrals(case, target, law)
    case.save(update_fields=["keys_destroyed", "keys_destroyed_at", "deferrals"])
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action="erasure.opened",
        object_type="erasure_case",
        object_id=case.id,
        details={
            "scope": str(case.scope),
            "messages": len(case.message_ids),
            "keys_destroyed": case.keys_destroyed,
            "deferred": sum(deferral["records"] for deferral in case.deferrals),
        },
    )
    transaction.on_commit(wake)
    transaction.on_commit(wake_erasures)
    return case


def get_case(tenant_id: UUID, case_id: UUID) -> ErasureCase:
    """The case, or NotFound. Runs inside a tenant scope."""
    case = ErasureCase.objects.for_tenant(tenant_id).filter(id=case_id).first()
    if case is None:
        raise NotFound
    return case


def target_of(case: ErasureCase) -> Target:
    """The target of a case; nothing for a tenant's, because its customers have cases of their own."""
    return Target(case.customer_id, case.session_id, tuple(case.message_ids))


def present_case(case: ErasureCase) -> dict[str, Any]:
    """The case as the API shows it."""
    return {
        "id": case.id,
        "object": "erasure_case",
        "state": case.state,
        "scope": case.scope,
        "subject": case.subject,
        "basis": case.basis,
        "deferrals": case.deferrals,
        "keys_destroyed": case.keys_destroyed,
        "created_at": case.created_at,
        "due_at": case.due_at,
        "verified_at": case.verified_at,
    }


def new_case(
    tenant_id: UUID,
    target: Target,
    *,
    reason: str,
    basis: str,
    actor: Actor,
    scope: CaseScope,
    case_id: UUID | None = None,
) -> ErasureCase:
    """The row of a case, stored. `open_case` does what it asks for."""
    now = ids.now()
    case = ErasureCase(
        id=case_id or ids.new_id(now),
        created_at=now,
        tenant_id=tenant_id,
        scope=scope,
        customer_id=target.customer_id,
        session_id=target.session_id,
        message_ids=list(target.message_ids),
        reason=reason.strip(),
        basis=basis.strip(),
        opened_by=person(actor),
        state=CaseState.EXECUTING,
        due_at=expires_at(now, DUE, "UTC"),
        next_at=now,
    )
    named = target.customer_id or target.session_id or case.id
    case.subject = keyring.keyed_hash(tenant_id, "subject", str(named)).hex()
    case.save(force_insert=True)
    return case


def _scope(target: Target) -> CaseScope:
    if target.customer_id is not None:
        return CaseScope.CUSTOMER
    return CaseScope.SESSION if target.session_id is not None else CaseScope.MESSAGES


def _count(case: ErasureCase, target: Target) -> None:
    """What every holding and every store has before anything is touched."""
    tenant_id = case.tenant_id
    found = count_records(tenant_id, target)
    found |= mirrors.count_mirrored(tenant_id, target)
    ErasureTask.objects.bulk_create(
        ErasureTask(tenant_id=tenant_id, case=case, store=store, found_before=count)
        for store, count in found.items()
    )


def _find_customer(tenant_id: UUID, external_id: str) -> Target:
    customer = lock_customer(tenant_id, external_id)
    if customer is None:
        explain_missing_customer(tenant_id=tenant_id, external_id=external_id)
        raise NotFound(f"There is no customer {external_id!r}.")
    return Target(customer_id=customer.id)


def _find_session(tenant_id: UUID, session_id: UUID) -> Target:
    sessions = Session.objects.for_tenant(tenant_id).live().filter(id=session_id)
    archived = ArchiveRecord.objects.for_tenant(tenant_id).filter(
        session_id=session_id, hidden_at__isnull=True
    )
    if not sessions.exists() and not archived.exists():
        explain_absence(tenant_id=tenant_id, object_id=session_id)
        raise NotFound("There is no such session.")
    return Target(session_id=session_id)


def _find_messages(tenant_id: UUID, message_ids: tuple[UUID, ...]) -> Target:
    """Those of the messages that are still there. NotFound when one never was, Erased when none is left."""
    asked = set(message_ids)
    live = Message.objects.for_tenant(tenant_id).live().filter(id__in=asked).values_list("id", flat=True)
    archived = ArchiveRecord.objects.for_tenant(tenant_id).filter(id__in=asked, hidden_at__isnull=True)
    there = {*live, *archived.values_list("id", flat=True)}
    gone = Tombstone.objects.for_tenant(tenant_id).filter(object_id__in=asked - there)
    cases = dict(gone.order_by("row_version").values_list("object_id", "case_id"))
    if asked - there - cases.keys():
        raise NotFound("One of these messages does not exist.")
    if not there:
        case_id = cases[message_ids[0]]
        raise Erased("These messages were erased.", case_id=str(case_id) if case_id else None)
    return Target(message_ids=tuple(sorted(there)))
