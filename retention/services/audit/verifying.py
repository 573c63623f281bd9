"""Verifies the audit trail against its hashes, its signed checkpoints and the witness file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction

from conversations import ids
from conversations.installation import signing_key
from conversations.models import Tenant
from retention.audit_leaves import EVENT_SQL
from retention.audit_walk import (
    MOST_FINDINGS,
    Finding,
    FindingKind,
    LeafRow,
    Log,
    StoredCheckpoint,
    Walk,
)
from retention.services.audit.pruning import pruned_months
from retention.services.audit.sealing import IN_TIME_SQL, UNSEALED_SQL, leaf_key, origin_of, witness_of
from retention.services.statements import execute_as_ops
from retention.witness import Sightings

CHUNK = 20_000

_LEAVES = f"""
    SELECT l.sequence, uuid_send(l.id), uuid_send(l.event_id), l.leaf_hash, e.id IS NOT NULL, {EVENT_SQL}
    FROM (SELECT * FROM conversations_auditleaf WHERE tenant_id = %(tenant)s AND sequence > %(after)s
          ORDER BY sequence LIMIT {CHUNK}) l
    LEFT JOIN conversations_auditevent e ON e.tenant_id = l.tenant_id AND e.id = l.event_id
    ORDER BY l.sequence
"""
_CHECKPOINTS = """
    SELECT tree_size, root_hash, frontier, signed FROM retention_auditcheckpoint
    WHERE tenant_id = %(tenant)s AND tree_size > %(after)s ORDER BY tree_size LIMIT 1000
"""
_TOTAL = "SELECT coalesce(max(tree_size), 0) FROM retention_auditcheckpoint WHERE tenant_id = %(tenant)s"
# What has no leaf and never will have one: see `IN_TIME_SQL`. The leaf may stand under another tenant.
_INSERTED = f"""
    SELECT e.id, e.is_elsewhere FROM (
        SELECT e.id, EXISTS (SELECT FROM conversations_auditleaf o WHERE o.event_id = e.id) AS is_elsewhere,
            {IN_TIME_SQL} AS is_in_time
        FROM conversations_auditevent e WHERE e.tenant_id = %(tenant)s AND {UNSEALED_SQL}) e
    WHERE e.is_elsewhere OR NOT e.is_in_time LIMIT {MOST_FINDINGS}
"""
_STRANGERS = f"""
    SELECT e.id FROM conversations_auditevent e
    WHERE NOT EXISTS (SELECT FROM conversations_tenant t WHERE t.id = e.tenant_id) LIMIT {MOST_FINDINGS}
"""
_ELSEWHERE = "SELECT id FROM conversations_auditevent WHERE id = ANY (%(ids)s) AND tenant_id <> %(tenant)s"

Progress = Callable[[str, int, int], None]  # the tenant's name, events verified, of about how many


@dataclass(frozen=True)
class Verification:
    """What was verified, and everything that differs from what was sealed."""

    findings: tuple[Finding, ...]
    events: int
    checkpoints: int
    witnessed: int

    @property
    def ok(self) -> bool:
        return not self.findings


def verify_audit(
    tenant: Tenant | None = None, *, progress: Progress = lambda name, done, total: None
) -> Verification:
    """Verify one tenant's trail, or everybody's. Reads one snapshot, and changes nothing."""
    tenants = [tenant] if tenant is not None else list(Tenant.objects.using("ops").order_by("id"))
    verified = [_verify_tenant(each, progress) for each in tenants]
    findings = [finding for each in verified for finding in each.findings]
    if tenant is None:
        findings += [
            Finding(FindingKind.MOVED, "", event_id=event_id) for (event_id,) in execute_as_ops(_STRANGERS)
        ]
    return Verification(
        findings=tuple(findings),
        events=sum(each.events for each in verified),
        checkpoints=sum(each.checkpoints for each in verified),
        witnessed=sum(each.witnessed for each in verified),
    )


def _verify_tenant(tenant: Tenant, progress: Progress) -> Verification:
    log = Log(tenant.id, tenant.name, origin_of(tenant.id), signing_key().public_key, leaf_key())
    # Before the snapshot: what the witness has seen by now is committed, so the snapshot must have it.
    sightings = witness_of(tenant.id).read(log.public_key)
    with transaction.atomic(using="ops"):
        execute_as_ops("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # A chunk is looked up by its ids; the planner, who knows no bounds, would read the whole month each time.
        execute_as_ops(
            "SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"
        )
        counted = _Counted(_checkpoints(tenant.id))
        walk = Walk(log, counted, sightings.roots, pruned_months(tenant.id, log.public_key).contain)
        [(total,)] = execute_as_ops(_TOTAL, {"tenant": tenant.id})
        for rows in _leaves(tenant.id):
            walk.feed(rows)
            progress(tenant.name, walk.size, max(total, walk.size))
        execute_as_ops("SELECT set_config('enable_hashjoin', 'on', true)")
        findings = walk.finish(lambda events: _elsewhere(tenant.id, events), _others(tenant.id))
        findings += _inserted(tenant)
    findings += _about_witness(tenant, sightings, walk.size)
    return Verification(tuple(findings), walk.size, counted.count, len(sightings.roots))


def _leaves(tenant_id: UUID) -> Iterator[list[LeafRow]]:
    after = -(2**63)
    while rows := execute_as_ops(_LEAVES, {"tenant": tenant_id, "after": after}).fetchall():
        after = rows[-1][0]
        yield [LeafRow._make((*row[:4], row[5:] if row[4] else None)) for row in rows]


def _checkpoints(tenant_id: UUID) -> Iterator[StoredCheckpoint]:
    after = -(2**63)
    while rows := execute_as_ops(_CHECKPOINTS, {"tenant": tenant_id, "after": after}).fetchall():
        after = rows[-1][0]
        yield from (StoredCheckpoint(*row) for row in rows)


def _inserted(tenant: Tenant) -> list[Finding]:
    rows = execute_as_ops(_INSERTED, {"tenant": tenant.id, "now": ids.now()})
    return [
        Finding(FindingKind.MOVED if is_elsewhere else FindingKind.INSERTED, tenant.name, event_id=event_id)
        for event_id, is_elsewhere in rows
    ]


def _about_witness(tenant: Tenant, sightings: Sightings, size: int) -> list[Finding]:
    """Lines of the witness that prove nothing, and a file that is gone while its folder is there."""
    findings = [Finding(FindingKind.WITNESS, tenant.name, checkpoint=claimed) for claimed in sightings.broken]
    if size and not sightings.is_there and settings.AUDIT_WITNESS.is_dir():
        findings.append(Finding(FindingKind.WITNESS, tenant.name, checkpoint=size))
    return findings


def _elsewhere(tenant_id: UUID, event_ids: Sequence[UUID]) -> set[UUID]:
    rows = execute_as_ops(_ELSEWHERE, {"tenant": tenant_id, "ids": list(event_ids)})
    return {event_id for (event_id,) in rows}


def _others(tenant_id: UUID) -> list[UUID]:
    return list(Tenant.objects.using("ops").exclude(id=tenant_id).values_list("id", flat=True))


class _Counted:
    """Counts what is taken from it."""

    def __init__(self, checkpoints: Iterator[StoredCheckpoint]) -> None:
        self._checkpoints = checkpoints
        self.count = 0

    def __iter__(self) -> Iterator[StoredCheckpoint]:
        for checkpoint in self._checkpoints:
            self.count += 1
            yield checkpoint
