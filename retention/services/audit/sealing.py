"""Seals the audit trail: puts every event into its tenant's Merkle tree and signs a checkpoint of the tree.

Events commit out of order, so what is sealed next is what has no leaf yet, never "beyond the last id". Leaves and
checkpoint are one transaction under the tenant's advisory lock, and the witness file is caught up with from the
database afterwards: a process that is killed at any point leaves nothing that the next pass does not complete.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from conversations import ids
from conversations.checkpoints import Checkpoint
from conversations.installation import secret, signing_key
from conversations.locking import lock_number
from conversations.merkle import Frontier, leaf_hash
from retention.audit_leaves import EVENT_SQL, leaf_data, leaf_mac
from retention.services.statements import execute_as_ops
from retention.witness import Witness

log = structlog.get_logger(__name__)

SEALING = "audit sealing"
BATCH = 10_000  # events of one transaction and one checkpoint; a proof costs no more than this

# An event without a leaf is sealed late only if its transaction was under way when later events were sealed, or if
# the clock has been set back since. Anything else was put in afterwards: it is never sealed, and `verify_audit` names
# it. Two seconds are for clocks that differ and for the time between a reading of the clock and the first write.
IN_TIME_SQL = """
    uuid7_millis(e.id) = floor(extract(epoch FROM e.created_at) * 1000)
    AND NOT EXISTS (
        SELECT FROM (
            SELECT l.xmin AS sealed_by, l.created_at AS sealed_at FROM conversations_auditleaf l
            WHERE l.tenant_id = e.tenant_id AND l.event_id >= uuid7_floor(e.created_at + interval '2 seconds')
            ORDER BY l.event_id LIMIT 1) n
        WHERE age(e.xmin) < age(n.sealed_by) AND n.sealed_at <= %(now)s)
"""
UNSEALED_SQL = """
    NOT EXISTS (SELECT FROM conversations_auditleaf l WHERE l.tenant_id = e.tenant_id AND l.event_id = e.id)
"""
_SINCE = """
    uuid7_floor(CASE WHEN {newest} IS NULL THEN 'epoch' ELSE greatest(
        least(to_timestamp(uuid7_millis({newest}) / 1000.0), %(now)s) - %(back)s::interval, 'epoch') END)
"""
_USUALLY, _THOROUGHLY = "10 minutes", "1000 years"  # how far back an unsealed event is looked for

_DUE = f"""
    SELECT t.id, coalesce(c.tree_size, 0), EXISTS (
        SELECT FROM conversations_auditevent e
        WHERE e.tenant_id = t.id AND {UNSEALED_SQL}
          AND e.id >= {_SINCE.format(newest="n.event_id")})
    FROM conversations_tenant t
    LEFT JOIN LATERAL (
        SELECT k.tree_size FROM retention_auditcheckpoint k
        WHERE k.tenant_id = t.id ORDER BY k.tree_size DESC LIMIT 1) c ON true
    LEFT JOIN conversations_auditleaf n ON n.tenant_id = t.id AND n.sequence = c.tree_size
"""
_EDGE = """
    SELECT coalesce(c.tree_size, 0), coalesce(c.frontier, ''), coalesce(l.sequence, 0), l.event_id
    FROM (SELECT) AS always
    LEFT JOIN LATERAL (SELECT tree_size, frontier FROM retention_auditcheckpoint WHERE tenant_id = %(tenant)s
                       ORDER BY tree_size DESC LIMIT 1) c ON true
    LEFT JOIN LATERAL (SELECT sequence, event_id FROM conversations_auditleaf WHERE tenant_id = %(tenant)s
                       ORDER BY sequence DESC LIMIT 1) l ON true
"""
_TAKE = f"""
    SELECT {EVENT_SQL} FROM conversations_auditevent e
    WHERE e.tenant_id = %(tenant)s AND {UNSEALED_SQL} AND {IN_TIME_SQL}
      AND e.id >= {_SINCE.format(newest="%(newest)s::uuid")}
      AND e.id < uuid7_floor(%(now)s + interval '2 seconds')
    ORDER BY e.id LIMIT %(batch)s
"""
_INSERT_LEAVES = """
    INSERT INTO conversations_auditleaf (id, created_at, tenant_id, sequence, event_id, leaf_hash)
    SELECT u.id, %(now)s, %(tenant)s, u.sequence, u.event, u.hash
    FROM unnest(%(ids)s::uuid[], %(sequences)s::bigint[], %(events)s::uuid[], %(hashes)s::bytea[])
        AS u (id, sequence, event, hash)
"""
_SIGN = """
    INSERT INTO retention_auditcheckpoint (id, created_at, tenant_id, tree_size, root_hash, frontier, signed)
    VALUES (%(id)s, %(now)s, %(tenant)s, %(size)s, %(root)s, %(frontier)s, %(signed)s)
"""
_CHECKPOINTS = """
    SELECT created_at, signed FROM retention_auditcheckpoint WHERE tenant_id = %(tenant)s AND tree_size > %(size)s
    ORDER BY tree_size
"""


@dataclass(frozen=True)
class Sealed:
    """What one pass did. `refused`: tenants whose trail is not as it was left; `verify_audit` tells more."""

    events: int = 0
    tenants: int = 0
    refused: tuple[UUID, ...] = ()
    unwitnessed: tuple[UUID, ...] = ()


class TrailAltered(Exception):
    """The trail does not end where its last checkpoint says: nothing is sealed on top of that."""


def seal_audit(*, thorough: bool = False) -> Sealed:
    """Seal what is not sealed yet, of every tenant, and let the witness follow.

    `thorough` looks for events of any age: those of transactions that were open for longer than ten minutes.
    """
    events, tenants = 0, 0
    refused: list[UUID] = []
    unwitnessed: list[UUID] = []
    back = _THOROUGHLY if thorough else _USUALLY
    for tenant_id, size, has_unsealed in execute_as_ops(_DUE, {"back": back, "now": ids.now()}).fetchall():
        sealed = 0
        if has_unsealed:
            try:
                sealed = seal_tenant(tenant_id, back=back)
            except (TrailAltered, IntegrityError) as error:
                log.error("audit.seal_refused", tenant_id=str(tenant_id), reason=type(error).__name__)
                refused.append(tenant_id)
        if not update_witness(tenant_id, size + sealed):
            unwitnessed.append(tenant_id)
        events, tenants = events + sealed, tenants + (sealed > 0)
    return Sealed(events, tenants, tuple(refused), tuple(unwitnessed))


def seal_tenant(tenant_id: UUID, *, back: str = _THOROUGHLY) -> int:
    """Seal one tenant's events, batch by batch; how many. None while another sealer is at work on it.

    TrailAltered when the trail does not end as it was left.
    """
    total = 0
    while True:
        sealed = _seal_batch(tenant_id, back)
        total += sealed
        if sealed < BATCH:
            return total


def origin_of(tenant_id: UUID) -> str:
    """What the checkpoints of a tenant's trail are signed as."""
    return f"remembrancer/audit/{tenant_id}"


def leaf_key() -> bytes:
    return secret("audit leaf")


def witness_of(tenant_id: UUID) -> Witness:
    return Witness(settings.AUDIT_WITNESS, tenant_id, origin_of(tenant_id))


# What the witness has of each tenant, as far as this process knows: spares a look at the file when nothing is new.
_witnessed: dict[tuple[str, UUID], int] = {}


def update_witness(tenant_id: UUID, size: int) -> bool:
    """Append the checkpoints that the witness file lacks; False when it cannot be written."""
    witness = witness_of(tenant_id)
    known = (str(witness.file), tenant_id)
    if _witnessed.get(known, 0) >= size:
        return True
    try:
        _witnessed[known] = witness.catch_up(lambda seen: _signed_since(tenant_id, seen))
    except OSError as error:
        log.error("audit.witness_failed", tenant_id=str(tenant_id), error=type(error).__name__)
        return False
    return True


def _signed_since(tenant_id: UUID, size: int) -> Iterator[tuple[datetime, str]]:
    yield from execute_as_ops(_CHECKPOINTS, {"tenant": tenant_id, "size": size})


def _seal_batch(tenant_id: UUID, back: str) -> int:
    now = ids.now()
    with transaction.atomic(using="ops"):
        [(is_ours,)] = execute_as_ops(
            "SELECT pg_try_advisory_xact_lock(%(lock)s)", {"lock": lock_number(SEALING, tenant_id)}
        )
        if not is_ours:
            return 0
        [(size, peaks, leaves, newest)] = execute_as_ops(_EDGE, {"tenant": tenant_id})
        if size != leaves:
            raise TrailAltered
        values = {"tenant": tenant_id, "now": now, "newest": newest, "back": back, "batch": BATCH}
        events = execute_as_ops(_TAKE, values).fetchall()
        if events:
            hashes = _insert_leaves(tenant_id, size, events, now)
            _sign(tenant_id, Frontier.parse(size, peaks).extended(hashes), now)
    return len(events)


def _insert_leaves(
    tenant_id: UUID, size: int, events: Sequence[tuple[Any, ...]], now: datetime
) -> list[bytes]:
    key, text = leaf_key(), str(tenant_id)
    sequences = range(size + 1, size + 1 + len(events))
    event_ids = [UUID(event[5]) for event in events]
    hashes = [
        leaf_hash(leaf_data(text, sequence, event)) for sequence, event in zip(sequences, events, strict=True)
    ]
    macs = [
        leaf_mac(key, tenant_id.bytes, sequence, event_id.bytes, hashed)
        for sequence, event_id, hashed in zip(sequences, event_ids, hashes, strict=True)
    ]
    values = {
        "tenant": tenant_id,
        "now": now,
        "ids": [UUID(bytes=mac) for mac in macs],
        "sequences": list(sequences),
        "events": event_ids,
        "hashes": hashes,
    }
    execute_as_ops(_INSERT_LEAVES, values)
    return hashes


def _sign(tenant_id: UUID, frontier: Frontier, now: datetime) -> None:
    root = frontier.root()
    values = {
        "id": ids.new_id(now),
        "now": now,
        "tenant": tenant_id,
        "size": frontier.size,
        "root": root,
        "frontier": bytes(frontier),
        "signed": Checkpoint(origin_of(tenant_id), frontier.size, root).signed_by(signing_key()),
    }
    execute_as_ops(_SIGN, values)
