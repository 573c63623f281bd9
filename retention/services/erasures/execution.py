"""Carries out erasures: deletes the rows, asks every store, then issues the receipt.

Every step may be repeated, so a worker may die anywhere: beat picks up unfinished cases. No transaction is open
while a store is asked. One process works on a case at a time.
"""

from collections.abc import Mapping
from datetime import timedelta
from time import monotonic, sleep
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Max

from conversations import ids, keyring
from conversations.backends.values import StoreUnavailable
from conversations.canonical import instant
from conversations.enums import KeyOwner
from conversations.exceptions import RemembrancerError
from conversations.installation import signing_key
from conversations.locking import only_one
from conversations.mirror.drain import drain
from conversations.models import DataKey
from conversations.principals import SYSTEM
from conversations.services import audit
from conversations.services.holdings import count_records
from conversations.tenancy import tenant_scope
from retention import ledger
from retention.enums import CaseScope, CaseState
from retention.models import ErasureCase, ErasureTask
from retention.services.erasures import mirrors, receipts, row_deletion
from retention.services.erasures.cases import target_of
from retention.services.erasures.mirrors import MILVUS, MILVUS_FILES, OUTBOX, Entries
from retention.services.erasures.row_deletion import Ended

log = structlog.get_logger(__name__)

LONGEST_PAUSE = timedelta(seconds=30)
LOOK_AGAIN = timedelta(seconds=60)  # at what is deferred: a hold may be released, a policy changed
BETWEEN_REBUILDS = timedelta(seconds=10)  # of vector files: one serves all cases that wait
CASES = 100
LONGEST_NAP = 2.0  # seconds, of whoever waits for one case

# Where something may be left when a hold or a legal minimum defers it.
DEFERRABLE = frozenset({"messages", "archive", "sessions", "deferred_records"})


class Unfinished(Exception):
    """A store still has something. It is asked again soon."""


def follow_cases(*, seconds: float = 45.0) -> int:
    """Advance every case that is due, for about that long; returns how many were looked at."""
    deadline = monotonic() + seconds
    due = ErasureCase.objects.using("ops").exclude(state=CaseState.VERIFIED).exclude(scope=CaseScope.TENANT)
    looked_at = 0
    for case in due.filter(next_at__lte=ids.now()).order_by("next_at")[:CASES]:
        if monotonic() > deadline:
            break
        advance(case.tenant_id, case.id)
        looked_at += 1
    if _rebuild_is_due():
        for tenant_id, case_id in rebuild_for_waiting():
            advance(tenant_id, case_id)
    return looked_at


def carry_out(case: ErasureCase, *, timeout: float = 300.0) -> ErasureCase:
    """Work on one case until it has a receipt or the time is over; returns the case. Needs no broker."""
    deadline = monotonic() + timeout
    while True:
        advance(case.tenant_id, case.id)
        if case.id in {waiting for _, waiting in rebuild_for_waiting()}:
            advance(case.tenant_id, case.id)
        with tenant_scope(case.tenant_id):
            case = ErasureCase.objects.get(id=case.id)
        if case.state in (CaseState.VERIFIED, CaseState.DEFERRED) or monotonic() > deadline:
            return case
        sleep(min(max((case.next_at - ids.now()).total_seconds(), 0.1), LONGEST_NAP))


def advance(tenant_id: UUID, case_id: UUID) -> None:
    """Do everything that can be done for the case now, unless another process works on it."""
    with only_one("erasure", case_id) as alone, structlog.contextvars.bound_contextvars(case=str(case_id)):
        if not alone:
            return
        with tenant_scope(tenant_id):
            case = ErasureCase.objects.select_for_update().get(id=case_id)
        if case.state == CaseState.VERIFIED:
            return
        try:
            _advance(case)
        except (Unfinished, StoreUnavailable, DatabaseError, RemembrancerError, OSError) as error:
            known = isinstance(error, Unfinished | StoreUnavailable)
            reason = str(error) if known else type(error).__name__
            log.info("erasure.put_off", reason=reason)
            _put_off(case, min(timedelta(seconds=2 ** min(case.attempts, 10)), LONGEST_PAUSE), reason)


def rebuild_for_waiting() -> list[tuple[UUID, UUID]]:
    """Rebuild the vector files once for every case whose vectors are deleted; (tenant, case) of those served."""
    waiting = [task for task in _waiting_for_files() if _vectors_are_gone(task)]
    if not waiting:
        return []
    try:
        if not mirrors.rebuild_vector_files():
            return []
    except StoreUnavailable as error:
        log.warning("erasure.files_not_rebuilt", reason=error.reason)
        return []
    served = ErasureTask.objects.using("ops").filter(id__in=[task.id for task in waiting])
    served.update(found_after=0, verified_at=ids.now())
    return [(task.tenant_id, task.case_id) for task in waiting]


def _advance(case: ErasureCase) -> None:
    if case.state == CaseState.EXECUTING:
        write_ledger(case)
    target = target_of(case)
    ended = row_deletion.end_rows(case, target)
    if case.state == CaseState.DEFERRED and not ended.rows and ended.deferrals:
        case.deferrals = ended.deferrals
        _put_off(case, LOOK_AGAIN, "")
        return
    case.deferrals = ended.deferrals
    if case.state == CaseState.EXECUTING:
        case.state = CaseState.MIRRORS_PENDING
    _save(case, "state", "deferrals")
    verify_stores(case)
    row_deletion.remove_bare_rows(case, target)
    _follow_outbox(case)
    _verify_rows(case, ended)
    with tenant_scope(case.tenant_id):
        conclude(case)


def verify_stores(case: ErasureCase) -> None:
    """Let every store follow the case's tombstones, and ask each of them. Unfinished when one is not done yet."""
    _follow_outbox(case)
    _ask_stores(case, mirrors.entries_of(case))


def _follow_outbox(case: ErasureCase) -> None:
    """Drain the outbox here: the erasure depends on no other worker."""
    if mirrors.count_pending(case):
        drain(seconds=10)
    if pending := mirrors.count_pending(case):
        raise Unfinished(f"{pending} events are still to be followed by the stores")
    _answered(case, {OUTBOX: 0})


def _verify_rows(case: ErasureCase, ended: Ended) -> None:
    """Record what is left in each holding; Unfinished when something is that nothing defers."""
    with tenant_scope(case.tenant_id):
        left = count_records(case.tenant_id, target_of(case))
    _answered(case, left)
    deferrable = DEFERRABLE if ended.deferrals else frozenset()
    if unexplained := [name for name, count in left.items() if count and name not in deferrable]:
        raise Unfinished(f"something is left in {', '.join(unexplained)}")


def _ask_stores(case: ErasureCase, entries: Entries) -> None:
    used = [store for store in mirrors.stores_in_use() if store != OUTBOX]
    for store in used:
        found = mirrors.count_found(store, entries)
        _answered(case, {store: found})
        if found:
            raise Unfinished(f"{found} entries are left in {store}")
    if MILVUS in used and (entries.messages or entries.memories):
        _require_rebuilt_files(case, len(entries.messages) + len(entries.memories))


def _require_rebuilt_files(case: ErasureCase, count: int) -> None:
    """Unfinished until the vector files were rebuilt after these vectors had gone."""
    if not mirrors.leaves_residue():
        return
    with tenant_scope(case.tenant_id):
        task, _ = ErasureTask.objects.get_or_create(
            tenant_id=case.tenant_id, case=case, store=MILVUS_FILES, defaults={"found_before": count}
        )
    if task.found_after is None:
        raise Unfinished("vector files wait to be rebuilt")


def conclude(case: ErasureCase) -> None:
    """Issue the receipt; without deferrals the case is verified, and its own key goes too. Inside a tenant scope."""
    verified = not case.deferrals
    if verified:
        keys = DataKey.objects.for_tenant(case.tenant_id).filter(owner=KeyOwner.CASE, owner_id=case.id)
        keyring.destroy_keys(case.tenant_id, list(keys.values_list("id", flat=True)))
    case.residuals = receipts.residuals_of(case)
    case.receipt = receipts.issue_receipt(case)
    case.state = CaseState.VERIFIED if verified else CaseState.DEFERRED
    case.verified_at = ids.now() if verified else None
    case.next_at = ids.now() + LOOK_AGAIN
    case.last_error = ""
    case.save()
    audit.record(
        tenant_id=case.tenant_id,
        actor=SYSTEM,
        action=f"erasure.{case.state.value}",
        object_type="erasure_case",
        object_id=case.id,
        details={"keys_destroyed": case.keys_destroyed, "deferrals": len(case.deferrals)},
    )
    log.info("erasure.concluded", state=case.state.value)


def write_ledger(case: ErasureCase) -> None:
    """Write what a restore of an older backup has to repeat; durable when this returns."""
    entry = ledger.Entry(
        case=case.id,
        tenant=case.tenant_id,
        at=instant(case.created_at),
        basis=case.basis,
        customer_id=case.customer_id,
        session_id=case.session_id,
        message_ids=list(case.message_ids),
    )
    ledger.append(settings.ERASURE_LEDGER, entry, signing_key())


def _answered(case: ErasureCase, found: Mapping[str, int]) -> None:
    """Record what each store, or holding, still has."""
    now = ids.now()
    tasks = [
        ErasureTask(tenant_id=case.tenant_id, case=case, store=store, found_after=count, verified_at=now)
        for store, count in found.items()
    ]
    with tenant_scope(case.tenant_id):
        ErasureTask.objects.bulk_create(
            tasks,
            update_conflicts=True,
            unique_fields=["tenant", "case", "store"],
            update_fields=["found_after", "verified_at"],
        )


def _put_off(case: ErasureCase, pause: timedelta, reason: str) -> None:
    case.next_at = ids.now() + pause
    case.attempts = case.attempts + 1 if reason else 0
    case.last_error = reason[:300]
    _save(case, "next_at", "attempts", "last_error", "deferrals")


def _save(case: ErasureCase, *fields: str) -> None:
    with tenant_scope(case.tenant_id):
        case.save(update_fields=fields)


def _waiting_for_files() -> list[ErasureTask]:
    tasks = ErasureTask.objects.using("ops").filter(store=MILVUS_FILES, found_after__isnull=True)
    return list(tasks.order_by("id"))


def _vectors_are_gone(task: ErasureTask) -> bool:
    asked = ErasureTask.objects.using("ops").filter(case_id=task.case_id, store=MILVUS)
    return asked.filter(found_after=0, verified_at__isnull=False).exists()


def _rebuild_is_due() -> bool:
    """Copying costs as much as the collections are large, so cases that come one after another share it."""
    rebuilt = ErasureTask.objects.using("ops").filter(store=MILVUS_FILES, found_after=0)
    last = rebuilt.aggregate(last=Max("verified_at"))["last"]
    return last is None or ids.now() - last >= BETWEEN_REBUILDS
