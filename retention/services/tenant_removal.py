"""Removing a tenant: one person requests it, another agrees, then the same engine erases everything, case by case.

A case of the tenant as a whole sums up the others. What a hold or a legal minimum defers stays, sealed under the keys
of its cases; the tenant's own keys go when nothing is left that needs them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import sleep
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from conversations import ids, keyring
from conversations.backends.values import StoreUnavailable
from conversations.enums import Reason
from conversations.exceptions import Conflict
from conversations.inputs import require_text
from conversations.models import (
    ApiKey,
    ContextReceipt,
    Customer,
    DataKey,
    IdempotencyRecord,
    ImportedRecord,
    Memory,
    Message,
    Session,
    Staff,
    Tenant,
)
from conversations.ports import Target
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.accounts import api_keys
from conversations.tenancy import tenant_scope
from retention.enums import CaseScope, CaseState
from retention.models import ArchiveRecord, ErasureCase, ErasureTask, ExportJob, TenantRemoval
from retention.services import locks
from retention.services.erasures import cases, deferring, execution, hiding
from retention.services.erasures.execution import Unfinished
from retention.services.exports import file_store
from retention.two_persons import person, require_another

Advance = Callable[[str, int, int], None]
"""What is being done, how much of it, of how much."""

# Referring tables first.
LEFT_OVER: Sequence[type[Any]] = (ContextReceipt, IdempotencyRecord, ImportedRecord, Session, Customer)
COUNTED: Mapping[str, type[Any]] = {
    "customers": Customer,
    "sessions": Session,
    "messages": Message,
    "memories": Memory,
    "archive": ArchiveRecord,
    "exports": ExportJob,
    "api_keys": ApiKey,
}


@dataclass(frozen=True)
class Preview:
    """What would end with the tenant, and what would keep some of it."""

    counts: Mapping[str, int]
    holds: int


def preview_removal(tenant: Tenant) -> Preview:
    """Counts only; changes nothing."""
    with tenant_scope(tenant.id):
        counts = {name: model.objects.for_tenant(tenant.id).count() for name, model in COUNTED.items()}
        return Preview(counts, len(deferring.read_law(tenant.id).holds))


def agree_to_remove(*, tenant: Tenant, reason: str, basis: str, actor: Actor) -> TenantRemoval:
    """One step: the first person asks, another one agrees. SamePerson for the one who asked.

    Invalid without reason or basis. Who comes after both may only continue.
    """
    require_text(reason=reason, basis=basis)
    with tenant_scope(tenant.id):
        locks.exclude_purges(tenant.id)
        removal = TenantRemoval.objects.for_tenant(tenant.id).first()
        if removal is None:
            removal = TenantRemoval(
                tenant_id=tenant.id, reason=reason.strip(), basis=basis.strip(), requested_by=person(actor)
            )
            removal.save(force_insert=True)
            _record(removal, actor, "tenant.removal_requested")
        elif removal.approved_by is None:
            removal.approved_by, removal.approved_at = require_another(actor, removal.requested_by), ids.now()
            removal.case_id = _open_case(removal, actor).id
            removal.save(update_fields=["approved_by", "approved_at", "case_id"])
            _record(removal, actor, "tenant.removal_approved")
    return removal


def remove_tenant(removal: TenantRemoval, *, actor: Actor, advance: Advance) -> ErasureCase:
    """Erase everything of the tenant, and stay with it until there is a receipt. May be repeated at any time.

    Nobody gets in any more: keys are revoked, staff are shut out. The case of the whole is `VERIFIED`, `DEFERRED`, or
    `MIRRORS_PENDING` when a store did not answer in time.
    """
    if removal.case_id is None:
        raise Conflict("Another person has to agree first.")
    tenant_id = removal.tenant_id
    with tenant_scope(tenant_id):
        case = cases.get_case(tenant_id, removal.case_id)
    if case.state == CaseState.EXECUTING:
        execution.write_ledger(case)
    shut_out(tenant_id, actor)
    total = _count_targets(tenant_id)
    for number, target in enumerate(_targets(tenant_id), 1):
        with tenant_scope(tenant_id):
            cases.open_case(
                tenant_id=tenant_id,
                target=target,
                reason=removal.reason,
                basis=removal.basis,
                actor=actor,
                word="erased",
            )
        advance("erasures opened", number, max(number, total))
    _carry_out_all(tenant_id, advance)
    return _conclude(tenant_id, removal.case_id)


def removed_tenant(name: str) -> tuple[Tenant, ErasureCase] | None:
    """A tenant of that name that is gone, and the case with its receipt, which nobody in it can ask for any more."""
    tenant = Tenant.objects.using("ops").filter(name=name, removed_at__isnull=False).first()
    if tenant is None:
        return None
    with tenant_scope(tenant.id):
        return tenant, ErasureCase.objects.for_tenant(tenant.id).filter(scope=CaseScope.TENANT).latest("id")


def reopen_removal(*, tenant_id: UUID, case_id: UUID, reason: str, basis: str, actor: Actor) -> TenantRemoval:
    """A removal that a restore has undone, agreed upon as it was. Runs inside a tenant scope."""
    removal = TenantRemoval.objects.for_tenant(tenant_id).first() or TenantRemoval(
        tenant_id=tenant_id, reason=reason, basis=basis, requested_by=person(actor)
    )
    removal.approved_by, removal.approved_at, removal.case_id = person(actor), ids.now(), case_id
    _open_case(removal, actor, case_id)
    removal.save()
    _record(removal, actor, "tenant.removal_replayed")
    return removal


def _open_case(removal: TenantRemoval, actor: Actor, case_id: UUID | None = None) -> ErasureCase:
    return cases.new_case(
        removal.tenant_id,
        Target(),
        reason=removal.reason,
        basis=removal.basis,
        actor=actor,
        scope=CaseScope.TENANT,
        case_id=case_id,
    )


def shut_out(tenant_id: UUID, actor: Actor) -> None:
    """Revoke every key and deactivate every account; when this returns, nobody is served any more."""
    with tenant_scope(tenant_id):
        keys = ApiKey.objects.for_tenant(tenant_id).filter(revoked_at__isnull=True)
        live = list(keys.values_list("id", flat=True))
    for key_id in live:
        api_keys.revoke_key(key_id=key_id, actor=actor)
    Staff.objects.using("ops").filter(tenant_id=tenant_id).update(is_active=False)
    if live:
        sleep(api_keys.LIFETIME)  # for so long a process may believe a key that it has checked


def _targets(tenant_id: UUID) -> Iterator[Target]:
    """All customers, then the sessions without a customer, until none is left."""
    while True:
        with tenant_scope(tenant_id):
            customers = Customer.objects.for_tenant(tenant_id).filter(erased_at__isnull=True)
            found = [Target(customer_id=one) for one in customers.values_list("id", flat=True)[:100]]
            if not found:
                sessions = Session.objects.for_tenant(tenant_id).live()
                found = [Target(session_id=one) for one in sessions.values_list("id", flat=True)[:100]]
        if not found:
            return
        yield from found


def _count_targets(tenant_id: UUID) -> int:
    with tenant_scope(tenant_id):
        customers = Customer.objects.for_tenant(tenant_id).filter(erased_at__isnull=True)
        return customers.count() + Session.objects.for_tenant(tenant_id).live().filter(customer=None).count()


def _carry_out_all(tenant_id: UUID, advance: Advance) -> None:
    all_cases = ErasureCase.objects.using("ops").filter(tenant_id=tenant_id).exclude(scope=CaseScope.TENANT)
    unfinished = all_cases.exclude(state__in=[CaseState.VERIFIED, CaseState.DEFERRED])
    total = all_cases.count()
    for case in list(unfinished.order_by("id")):
        execution.advance(tenant_id, case.id)
        advance("erasures carried out", total - unfinished.count(), total)
    execution.rebuild_for_waiting()
    for case in list(unfinished.order_by("id")):
        execution.carry_out(case)
        advance("erasures carried out", total - unfinished.count(), total)


def follow_removals() -> None:
    """Look again at tenants of which something was deferred: it may have ended by itself."""
    due = ErasureCase.objects.using("ops").filter(scope=CaseScope.TENANT, next_at__lte=ids.now())
    for case in due.exclude(state=CaseState.VERIFIED):
        _conclude(case.tenant_id, case.id)


def _conclude(tenant_id: UUID, case_id: UUID) -> ErasureCase:
    """The receipt of the whole; without deferrals the rest of the tenant goes, and its keys."""
    with tenant_scope(tenant_id):
        case = cases.get_case(tenant_id, case_id)
        parts = ErasureCase.objects.for_tenant(tenant_id).exclude(scope=CaseScope.TENANT)
        case.deferrals = [deferral for part in parts for deferral in part.deferrals]
        finished = not parts.exclude(state__in=[CaseState.VERIFIED, CaseState.DEFERRED]).exists()
        _sum_up(case, parts)
    if not finished:
        return _put_off(case, "not every part is verified")
    if not case.deferrals:
        try:
            _end_the_rest(case)
        except (StoreUnavailable, Unfinished) as error:
            return _put_off(case, str(error))
    with tenant_scope(tenant_id):
        if not case.deferrals:
            case.keys_destroyed += _destroy_keys(tenant_id)
        execution.conclude(case)
    if case.state == CaseState.VERIFIED:
        Tenant.objects.using("ops").filter(id=tenant_id).update(removed_at=ids.now())
    return case


def _put_off(case: ErasureCase, why: str) -> ErasureCase:
    case.state, case.last_error = CaseState.MIRRORS_PENDING, why[:300]
    case.next_at = ids.now() + execution.LOOK_AGAIN
    with tenant_scope(case.tenant_id):
        case.save(update_fields=["state", "last_error", "next_at", "deferrals", "keys_destroyed"])
    return case


def _end_the_rest(case: ErasureCase) -> None:
    """Erase what belongs to the tenant but to no customer. StoreUnavailable or Unfinished if a store is not done."""
    tenant_id = case.tenant_id
    with tenant_scope(tenant_id), hiding.because(Reason.ERASURE):
        memories = Memory.objects.for_tenant(tenant_id)
        hidden = [hiding.HiddenRow("memory", one) for one in memories.values_list("id", flat=True)]
        hiding.leave_tombstones(case, hidden, reason="erased")
        memories.delete()
        file_store.remove_exports(ExportJob.objects.for_tenant(tenant_id))
        for model in LEFT_OVER:
            model.objects.for_tenant(tenant_id).delete()
    execution.verify_stores(case)


def _sum_up(case: ErasureCase, parts: QuerySet[ErasureCase]) -> None:
    """What the stores answered in all cases together."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    tasks = ErasureTask.objects.for_tenant(case.tenant_id).filter(case__in=parts, found_after__isnull=False)
    for store, found_before, found_after in tasks.values_list("store", "found_before", "found_after"):
        before[store] += found_before
        after[store] += found_after or 0
    for store in before:
        ErasureTask.objects.update_or_create(
            tenant_id=case.tenant_id,
            case=case,
            store=store,
            defaults={
                "found_before": before[store],
                "found_after": after[store],
                "verified_at": ids.now(),
            },
        )
    case.keys_destroyed = sum(parts.values_list("keys_destroyed", flat=True))


def _destroy_keys(tenant_id: UUID) -> int:
    """All that are left, the tenant's own among them: what they wrapped and hashed means nothing any more."""
    keys = DataKey.objects.for_tenant(tenant_id).filter(wrapped__isnull=False)
    return keyring.destroy_keys(tenant_id, list(keys.values_list("id", flat=True)))


def _record(removal: TenantRemoval, actor: Actor, action: str) -> None:
    audit.record(
        tenant_id=removal.tenant_id,
        actor=actor,
        action=action,
        object_type="tenant",
        object_id=removal.tenant_id,
        details={"removal": str(removal.id)},
    )
