"""Drops whole partitions in which no row of any tenant has to stay.

A million deleted rows are a million entries in the write-ahead log; a dropped table is a handful. Law, locks and fuse
are the same: first everything is judged and hashed while the partition takes no writes, then, with holds locked out,
only what may have changed is checked again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import connections, transaction

from conversations import ids
from conversations.backends.values import Kind
from conversations.enums import Entity, Reason
from conversations.locking import BRIEFLY, try_locked
from conversations.merkle import Frontier
from conversations.mirror.waking import wake
from conversations.ports import PurgedIds, registry
from conversations.principals import Actor
from conversations.services.operations.partitions import Partition, list_partitions
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass, RunState, Verdict
from retention.law import parameters
from retention.models import ArchiveRecord, LegalHold, PurgedRange, PurgeRun
from retention.periods import bounds
from retention.policies import Policy
from retention.services import locks
from retention.services.policies import every_policy, policy_in_force
from retention.services.purges.archive import ARCHIVE_VERDICT
from retention.services.purges.disposition import LEAF_SQL, MESSAGE_VERDICT
from retention.services.purges.runs import begin_run, count_range, only_purge

log = structlog.get_logger(__name__)

CHUNK = 50_000


@dataclass(frozen=True)
class Droppable:
    """A partitioned table whose rows end as a class; `verdict` is the law over its alias."""

    table: str
    alias: str
    verdict: str
    kind: Kind
    followers: Sequence[str] = ()  # projections in PostgreSQL with partitions of the same bounds


DROPPABLE: Mapping[RecordClass, Droppable] = {
    RecordClass.MESSAGES: Droppable(
        "conversations_message", "m", MESSAGE_VERDICT, Kind.MESSAGES, ("conversations_messageindex",)
    ),
    RecordClass.ARCHIVE: Droppable(ArchiveRecord._meta.db_table, "a", ARCHIVE_VERDICT, Kind.ARCHIVE),
}
_BY_TABLE = {droppable.table: droppable for droppable in DROPPABLE.values()}

# What a tenant's verdicts depend on beside time, which only lets more go.
Grounds = tuple[int, tuple[tuple[object, ...], ...]]

_COUNT_DOWN = """
    UPDATE conversations_session s SET message_count = greatest(0, s.message_count - g.visible), epoch = s.epoch + 1
    FROM (SELECT session_id, count(*) FILTER (WHERE hidden_at IS NULL) AS visible FROM {partition}
          WHERE tenant_id = %(tenant)s GROUP BY session_id) g
    WHERE s.tenant_id = %(tenant)s AND s.id = g.session_id
"""
# The messages after the gap still have the words of those before it in their search documents.
_BUMP_SUCCESSORS = """
    UPDATE conversations_message m SET row_version = nextval('row_version')
    FROM (SELECT session_id, max(position) AS last FROM {partition} WHERE tenant_id = %(tenant)s GROUP BY session_id) g
    WHERE m.tenant_id = %(tenant)s AND m.session_id = g.session_id AND m.id >= %(before)s
      AND m.position BETWEEN g.last + 1 AND g.last + 2 AND m.hidden_at IS NULL
"""
_ENQUEUE_CHAPTERS = f"""
    SELECT enqueue_mirror({Entity.CHAPTERS.value}::smallint, array_agg(g.tenant_id), array_agg(g.session_id),
                          array_agg(nextval('row_version')))
    FROM (SELECT DISTINCT tenant_id, session_id FROM {{partition}} WHERE tenant_id = %(tenant)s) g
"""
_ENQUEUE_RANGE = f"""
    SELECT enqueue_mirror({Entity.PURGED_RANGE.value}::smallint, ARRAY[%(tenant)s::uuid], ARRAY[%(range)s::uuid],
                          ARRAY[nextval('row_version')])
"""


class _Changed(Exception):
    """A hold or a policy changed meanwhile: the partition has to be judged again."""


def drop_ended_partitions(*, record_class: RecordClass, actor: Actor, force: bool = False) -> list[str]:
    """Drop every partition of the class that has wholly ended; their names. Each is a transaction of its own.

    Their rows are counted in a run of each tenant that the fuse let pass; it is left `RUNNING` for the purge that
    follows.
    """
    droppable = DROPPABLE[record_class]
    now = ids.now()
    youngest = max(bounds(now, policy.period(record_class)).none_expired_after for policy in every_policy())
    dropped = []
    for partition in list_partitions(droppable.table):
        if partition.before <= ids.floor_id(youngest) and _drop(
            partition, droppable, record_class, actor, force, now
        ):
            log.info("partition.dropped", partition=partition.name)
            dropped.append(partition.name)
    return dropped


def purged_ranges(range_ids: Sequence[UUID]) -> Mapping[UUID, PurgedIds]:
    """What went with dropped partitions, across tenants."""
    rows = PurgedRange.objects.using("ops").filter(id__in=range_ids)
    return {row.id: PurgedIds(_BY_TABLE[row.table].kind, row.first_id, row.before_id) for row in rows}


def _drop(
    partition: Partition,
    droppable: Droppable,
    record_class: RecordClass,
    actor: Actor,
    force: bool,
    now: datetime,
) -> bool:
    """Drop it if nothing in it has to stay and every tenant's fuse lets it go; whether it went."""
    tenants = _tenants_in(partition)
    if not tenants and not _is_past_every_policy(partition, record_class, now):
        return False
    if not all(_has_ended(partition, droppable, record_class, tenant_id, now) for tenant_id in tenants):
        return False
    with ExitStack() as stack:
        runs = []
        for tenant_id in tenants:
            if not stack.enter_context(only_purge(tenant_id, record_class)):
                return False
            run = begin_run(tenant_id=tenant_id, record_class=record_class, actor=actor, force=force)
            if run.state == RunState.STOPPED:
                return False
            runs.append(run)
        return _dropped(partition, droppable, runs, actor)


def _dropped(partition: Partition, droppable: Droppable, runs: Sequence[PurgeRun], actor: Actor) -> bool:
    """Drop the partition if it may go; waits for locks only briefly, because others wait behind it."""
    try:
        went = bool(try_locked(_drop_now, partition, droppable, runs, actor))
    except _Changed:
        return False
    if went:
        wake()
    return went


@transaction.atomic(using="owner")
def _drop_now(partition: Partition, droppable: Droppable, runs: Sequence[PurgeRun], actor: Actor) -> bool:
    """In one transaction: judge and hash, lock out holds, check again, count, detach, drop."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{BRIEFLY}'")
        cursor.execute("SELECT set_config('app.reason', %s, true)", [str(Reason.PURGE.value)])
        cursor.execute(f'LOCK TABLE "{partition.name}" IN SHARE MODE')
    for run in runs:  # an attempt before this one may have counted in them
        with tenant_scope(run.tenant_id):
            run.refresh_from_db()
    grounds = {run.tenant_id: _grounds(run) for run in runs}
    if set(_tenants_in(partition)) - set(grounds):
        raise _Changed
    trees = []
    for run in runs:
        if not _has_ended(partition, droppable, RecordClass(run.record_class), run.tenant_id, run.judged_at):
            raise _Changed
        trees.append(Frontier().extended(_leaves(partition, droppable, run.tenant_id)))
    for run in sorted(runs, key=lambda run: run.tenant_id):
        locks.share(run.tenant_id, using="owner")
        if _grounds(run) != grounds[run.tenant_id]:
            raise _Changed
    for run, tree in zip(runs, trees, strict=True):
        if tree.size:
            _count(partition, droppable, run, tree, actor)
    with connections["owner"].cursor() as cursor:
        for statement in registry.drop_statements if droppable.kind is Kind.MESSAGES else ():
            cursor.execute(statement.replace("{partition}", f'"{partition.name}"'))
        for table, name in _tables(partition, droppable):
            cursor.execute(f'ALTER TABLE "{table}" DETACH PARTITION "{name}"')
            cursor.execute(f'DROP TABLE "{name}"')
    return True


def _count(partition: Partition, droppable: Droppable, run: PurgeRun, tree: Frontier, actor: Actor) -> None:
    """One range in the place of row events, and the sessions' own counts."""
    purged = PurgedRange(
        id=ids.new_id(),
        tenant_id=run.tenant_id,
        run=run,
        table=partition.table,
        first_id=partition.first,
        before_id=partition.before,
        count=tree.size,
        merkle_root=tree.root(),
    )
    purged.save(using="owner", force_insert=True)
    count_range(run, purged, actor)
    statements = [_ENQUEUE_RANGE]
    if droppable.kind is Kind.MESSAGES:
        statements += [_COUNT_DOWN, _BUMP_SUCCESSORS, _ENQUEUE_CHAPTERS]
    values = {"tenant": run.tenant_id, "range": purged.id, "before": partition.before}
    with connections["owner"].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(partition=f'"{partition.name}"'), values)


def _tables(partition: Partition, droppable: Droppable) -> Iterator[tuple[str, str]]:
    """The partition and those of the same bounds that only mirror it, each with its parent."""
    yield partition.table, partition.name
    for follower in droppable.followers:
        for theirs in list_partitions(follower):
            if (theirs.first, theirs.before) == (partition.first, partition.before):
                yield follower, theirs.name


def _tenants_in(partition: Partition) -> list[UUID]:
    """Whose rows lie in it: one step of the index for each tenant, however many rows there are."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            f"""
            WITH RECURSIVE t AS (
                (SELECT tenant_id FROM "{partition.name}" ORDER BY tenant_id LIMIT 1)
                UNION ALL
                SELECT (SELECT p.tenant_id FROM "{partition.name}" p WHERE p.tenant_id > t.tenant_id
                        ORDER BY p.tenant_id LIMIT 1)
                FROM t WHERE t.tenant_id IS NOT NULL)
            SELECT tenant_id FROM t WHERE tenant_id IS NOT NULL
            """
        )
        return [tenant_id for (tenant_id,) in cursor.fetchall()]


def _is_past_every_policy(partition: Partition, record_class: RecordClass, now: datetime) -> bool:
    oldest = min(bounds(now, policy.period(record_class)).all_expired_through for policy in every_policy())
    return partition.before <= ids.floor_id(oldest)


def _has_ended(
    partition: Partition,
    droppable: Droppable,
    record_class: RecordClass,
    tenant_id: UUID,
    now: datetime,
) -> bool:
    """Whether the law destroys every row of the tenant in it."""
    policy = _policy(tenant_id, now)
    alias = droppable.alias
    values = {"tenant": tenant_id, "destroy": Verdict.DESTROY.value, **parameters(record_class, policy, now)}
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            f'SELECT EXISTS (SELECT FROM "{partition.name}" {alias}'
            f" WHERE {alias}.tenant_id = %(tenant)s AND {droppable.verdict} <> %(destroy)s)",
            values,
        )
        (something_stays,) = cursor.fetchone()
    return not something_stays


def _leaves(partition: Partition, droppable: Droppable, tenant_id: UUID) -> Iterator[bytes]:
    alias = droppable.alias
    leaf = LEAF_SQL.replace("m.", f"{alias}.")
    with connections["owner"].chunked_cursor() as cursor:
        cursor.execute(
            f'SELECT {leaf} FROM "{partition.name}" {alias} WHERE {alias}.tenant_id = %s ORDER BY {alias}.id',
            [tenant_id],
        )
        while rows := cursor.fetchmany(CHUNK):
            for (one,) in rows:
                yield bytes(one)


def _policy(tenant_id: UUID, now: datetime) -> Policy:
    with tenant_scope(tenant_id):
        return policy_in_force(tenant_id, now)


def _grounds(run: PurgeRun) -> Grounds:
    with tenant_scope(run.tenant_id):
        policy = policy_in_force(run.tenant_id, ids.now())
        if policy.version != run.policy_version:
            raise _Changed
        holds = LegalHold.objects.for_tenant(run.tenant_id).order_by("id").values_list("id", "grace_until")
        return policy.version, tuple(holds)
