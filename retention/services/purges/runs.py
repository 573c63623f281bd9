"""Purges: archives or destroys what is due in a class, in bounded batches that are each one transaction.

A run is a row, and each batch updates its counts in its own transaction. So a run that is killed anywhere is continued
later, with counts that are exact.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

import structlog
from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction

from conversations import ids, merkle
from conversations.exceptions import Conflict, NotFound, RemembrancerError
from conversations.inputs import require_text
from conversations.locking import only_one, retry_locked
from conversations.merkle import Frontier
from conversations.mirror.waking import wake
from conversations.principals import Actor
from conversations.services import audit
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass, RunState
from retention.models import PurgeBatch, PurgedRange, PurgeRun
from retention.policies import Policy
from retention.services import locks
from retention.services.policies import policy_in_force
from retention.services.purges.archive import PurgeableArchive
from retention.services.purges.clocks import read_steady_clock
from retention.services.purges.disposition import FIRST_ID, Disposed
from retention.services.purges.due import Due, Purgeable, count_due
from retention.services.purges.fuse import expected_due, is_blown
from retention.services.purges.messages import PurgeableMessages
from retention.services.purges.summaries import PurgeableSummaries
from retention.two_persons import person

log = structlog.get_logger(__name__)

BATCH = 1_000  # a batch holds its sessions' locks for about a tenth of a second

PURGEABLES: Mapping[RecordClass, Purgeable] = {
    RecordClass.MESSAGES: PurgeableMessages(),
    RecordClass.SUMMARIES: PurgeableSummaries(),
    RecordClass.ARCHIVE: PurgeableArchive(),
}


@dataclass(frozen=True)
class Preview:
    """What a purge would do now, under which policy."""

    record_class: RecordClass
    due: Due
    policy_version: int


def preview(
    *,
    tenant_id: UUID,
    policy: Policy | None = None,
    classes: tuple[RecordClass, ...] = tuple(RecordClass),
    most: int | None = None,
) -> list[Preview]:
    """What is due of each class under a policy, by default the one in force. Changes nothing.

    With `most` no more than so many records of each class are looked at, the oldest.
    """
    now = ids.now()
    with tenant_scope(tenant_id):
        chosen = policy or policy_in_force(tenant_id, now)
        return [
            Preview(
                record_class=record_class,
                due=count_due(PURGEABLES[record_class], tenant_id, chosen, now, most),
                policy_version=chosen.version,
            )
            for record_class in classes
        ]


def purge(
    *,
    tenant_id: UUID,
    record_class: RecordClass,
    actor: Actor,
    force: bool = False,
    seconds: float | None = None,
) -> PurgeRun | None:
    """Purge what is due in the class, or as much as fits into `seconds`; None while another purge runs.

    An unfinished run is continued. One that the fuse stopped comes back as it is, unless a person has
    confirmed it or `force` says so.
    """
    with only_purge(tenant_id, record_class) as alone:
        if not alone:
            return None
        run = begin_run(tenant_id=tenant_id, record_class=record_class, actor=actor, force=force)
        return run if run.state == RunState.STOPPED else continue_run(run, actor=actor, seconds=seconds)


def begin_run(*, tenant_id: UUID, record_class: RecordClass, actor: Actor, force: bool = False) -> PurgeRun:
    """The run to work on: judged by the fuse, `RUNNING` or `STOPPED`. The caller holds `only_purge`."""
    purgeable, now = PURGEABLES[record_class], ids.now()
    with tenant_scope(tenant_id):
        policy = policy_in_force(tenant_id, now)
        due = count_due(purgeable, tenant_id, policy, now)
        run = _unfinished(tenant_id, record_class) or _new_run(tenant_id, record_class, actor, now)
        confirmed = run.confirmed_at is not None and run.policy_version == policy.version
        _judge(run, policy, due, now)
        run.expected = expected_due(tenant_id, purgeable, policy, now, due)
        if force and not confirmed:
            run.confirmed_by, run.confirmed_at, run.confirm_reason = person(actor), now, "--force"
        elif not confirmed:
            run.confirmed_by, run.confirmed_at, run.confirm_reason = None, None, ""
        stopped = is_blown(due.candidates, run.expected) and run.confirmed_at is None
        was_stopped, run.state = (
            run.state == RunState.STOPPED,
            RunState.STOPPED if stopped else RunState.RUNNING,
        )
        run.save()
        if stopped and not was_stopped:
            _record(run, actor, "purge.stopped")
        elif not stopped and run.destroyed + run.archived == 0:
            _record(run, actor, "purge.started")
    if stopped:
        log.warning("purge.fuse_blown", run=str(run.id), candidates=due.candidates, expected=run.expected)
    return run


def continue_run(run: PurgeRun, *, actor: Actor, seconds: float | None = None) -> PurgeRun:
    """Run batches until nothing is due, time is over or the policy has changed."""
    deadline = None if seconds is None else monotonic() + seconds
    after: UUID | None = FIRST_ID  # beyond what was looked at: what a hold keeps is looked at once
    try:
        while after is not None:
            if deadline is not None and monotonic() > deadline:
                return run
            after = retry_locked(_batch, run, actor, after)
        while retry_locked(_sweep, run, actor):
            if deadline is not None and monotonic() > deadline:
                return run
    except (DatabaseError, RemembrancerError) as error:
        _finish(run, actor, RunState.FAILED, error=type(error.__cause__ or error).__name__)
        raise
    _finish(run, actor, RunState.DONE)
    return run


def confirm_run(*, tenant_id: UUID, run_id: UUID, reason: str, actor: Actor) -> PurgeRun:
    """Let a run that the fuse stopped go on, under the policy it was judged by. Conflict for any other run."""
    require_text(reason=reason)
    with tenant_scope(tenant_id):
        run = PurgeRun.objects.for_tenant(tenant_id).filter(id=run_id).select_for_update().first()
        if run is None:
            raise NotFound
        if run.state != RunState.STOPPED:
            raise Conflict("Only a run that the fuse stopped waits for a confirmation.")
        run.confirmed_by, run.confirmed_at, run.confirm_reason = person(actor), ids.now(), reason.strip()
        run.state = RunState.RUNNING
        run.save(update_fields=["confirmed_by", "confirmed_at", "confirm_reason", "state"])
        _record(run, actor, "purge.confirmed")
    return run


def merkle_root(run: PurgeRun) -> bytes:
    """The root over everything that the run has ended so far."""
    return Frontier.parse(run.leaves, bytes(run.frontier)).root()


def count_batch(run: PurgeRun, disposed: Disposed, actor: Actor) -> None:
    """Add a batch to its run, in the batch's own transaction."""
    if not disposed.ids:
        return
    frontier = Frontier.parse(run.leaves, bytes(run.frontier)).extended(disposed.leaves)
    run.archived, run.destroyed = run.archived + disposed.archived, run.destroyed + disposed.destroyed
    run.leaves, run.frontier = frontier.size, bytes(frontier)
    run.save(update_fields=["archived", "destroyed", "leaves", "frontier"])
    root = merkle.root(disposed.leaves)
    now = ids.now()
    number = PurgeBatch.objects.for_tenant(run.tenant_id).filter(run=run).count() + 1
    PurgeBatch(
        id=ids.new_id(now),
        created_at=now,
        tenant_id=run.tenant_id,
        run=run,
        number=number,
        archived=disposed.archived,
        destroyed=disposed.destroyed,
        first_id=min(disposed.ids),
        last_id=max(disposed.ids),
        merkle_root=root,
    ).save(force_insert=True)
    counts = {"archived": disposed.archived, "destroyed": disposed.destroyed, "merkle_root": root.hex()}
    _record(run, actor, "purge.batch", {"batch": number, **counts})


def only_purge(tenant_id: UUID, record_class: RecordClass) -> AbstractContextManager[bool]:
    """Whether this process may work on the class's runs."""
    return only_one("purge", tenant_id, record_class)


def count_range(run: PurgeRun, purged: PurgedRange, actor: Actor) -> None:
    """Add rows that went with a partition to their run, in the transaction of the drop.

    The run's own tree gets one leaf for the range: the root over its rows.
    """
    frontier = Frontier.parse(run.leaves, bytes(run.frontier)).extended(
        [merkle.leaf_hash(bytes(purged.merkle_root))]
    )
    run.destroyed, run.leaves, run.frontier = run.destroyed + purged.count, frontier.size, bytes(frontier)
    run.save(using="owner", update_fields=["destroyed", "leaves", "frontier"])
    counts = {"destroyed": purged.count, "merkle_root": bytes(purged.merkle_root).hex()}
    _record(run, actor, "purge.range", counts, using="owner")


def _batch(run: PurgeRun, actor: Actor, after: UUID) -> UUID | None:
    """One transaction; the id from which to go on, None at the end of the run."""
    with tenant_scope(run.tenant_id):
        locks.share(run.tenant_id)
        run.refresh_from_db()
        policy = policy_in_force(run.tenant_id, ids.now())
        if policy.version != run.policy_version:  # the rest is for another run, which the fuse judges anew
            return None
        disposed = PURGEABLES[RecordClass(run.record_class)].dispose(
            run.tenant_id, policy, run.judged_at, after, BATCH
        )
        count_batch(run, disposed, actor)
        transaction.on_commit(wake)
    return None if disposed.exhausted else disposed.last_id


def _sweep(run: PurgeRun, actor: Actor) -> bool:
    """One transaction; whether there may be more to sweep."""
    with tenant_scope(run.tenant_id):
        locks.share(run.tenant_id)
        policy = policy_in_force(run.tenant_id, ids.now())
        if policy.version != run.policy_version:
            return False
        swept = PURGEABLES[RecordClass(run.record_class)].sweep(run.tenant_id, policy, run.judged_at)
        if swept:
            _record(run, actor, "purge.swept", dict(swept))
            transaction.on_commit(wake)
    return bool(swept)


def _unfinished(tenant_id: UUID, record_class: RecordClass) -> PurgeRun | None:
    runs = PurgeRun.objects.for_tenant(tenant_id).filter(record_class=record_class)
    return runs.filter(state__in=[RunState.RUNNING, RunState.STOPPED]).select_for_update().first()


def _new_run(tenant_id: UUID, record_class: RecordClass, actor: Actor, now: datetime) -> PurgeRun:
    return PurgeRun(
        id=ids.new_id(now),
        created_at=now,
        tenant_id=tenant_id,
        record_class=record_class,
        started_by=person(actor),
    )


def _judge(run: PurgeRun, policy: Policy, due: Due, now: datetime) -> None:
    """What the run set out to do, or sets out to do from here."""
    steady = read_steady_clock()
    run.policy_version, run.judged_at = policy.version, now
    run.cutoff = due.cutoff
    run.candidates, run.held = run.archived + run.destroyed + due.candidates, due.held
    run.samples = [str(sample) for sample in due.samples]
    run.boot_id = steady.boot_id if steady else ""
    run.uptime = steady.uptime if steady else None


def _finish(run: PurgeRun, actor: Actor, state: RunState, *, error: str = "") -> None:
    with tenant_scope(run.tenant_id):
        run.state, run.finished_at, run.error = state, ids.now(), error
        run.save(update_fields=["state", "finished_at", "error"])
        counts = {"archived": run.archived, "destroyed": run.destroyed, "held": run.held}
        _record(run, actor, f"purge.{state.value}", {**counts, "merkle_root": merkle_root(run).hex()})


def _record(
    run: PurgeRun,
    actor: Actor,
    action: str,
    details: Mapping[str, object] | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    about = {"class": str(run.record_class), "policy_version": run.policy_version}
    audit.record(
        tenant_id=run.tenant_id,
        actor=actor,
        action=action,
        object_type="purge_run",
        object_id=run.id,
        details={**about, **(details or {"candidates": run.candidates, "expected": run.expected})},
        using=using,
    )
