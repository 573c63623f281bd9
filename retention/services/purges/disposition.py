"""The deletion engine: the only place where messages are archived or destroyed.

API deletes, purges and erasures all come through `dispose_messages`: it applies the law to a batch, under the lock
that keeps holds out, with the holds as they are, and archives or destroys in one transaction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from conversations import ids
from conversations.enums import Reason
from conversations.merkle import leaf_hash
from retention.enums import RecordClass, Verdict
from retention.law import parameters, verdict_sql
from retention.periods import bounds
from retention.policies import Policy
from retention.services import archiving, locks
from retention.services.archiving import PackedMessage, Source
from retention.services.holds import MESSAGE_HELD
from retention.services.statements import execute_in_bulk

# A message that was deleted or erased is hidden: for the law an erasure covers it.
MESSAGE_VERDICT = verdict_sql("m.created_at", held=MESSAGE_HELD, erasure="(m.hidden_at IS NOT NULL)")
ENDS = (Verdict.ARCHIVE, Verdict.DESTROY)
FIRST_ID = UUID(int=0)

# Plans for the given values: the bounds of a batch leave one or two of many partitions.
_BEGIN = """
    SELECT set_config('app.reason', %(reason)s, true), set_config('plan_cache_mode', 'force_custom_plan', true)
"""
_READ = """
    SELECT d.verdict, d.id, d.row_version, d.session_id, d.hidden_at IS NOT NULL, d.sealed, d.scrubbed,
        d.scrubbed_attachments, d.name, d.external_id, d.language, d.intent, d.intent_confidence, d.turn_id, d.model,
        d.usage::text, d.agent_responses::text, d.metadata::text, d.pii::text, d.occurred_at
    FROM (SELECT m.*, {verdict} AS verdict FROM conversations_message m
          WHERE m.tenant_id = %(tenant)s AND {condition}) d
    WHERE d.verdict = ANY (%(verdicts)s) ORDER BY d.id LIMIT %(limit)s
"""
_LOCK_SESSIONS = """
    SELECT id FROM conversations_session WHERE tenant_id = %(tenant)s AND id = ANY (%(sessions)s)
    ORDER BY id FOR UPDATE
"""
# The rows were read before they were locked: only those that have not changed since are taken.
_LOCK_MESSAGES = """
    SELECT m.id FROM conversations_message m
    JOIN unnest(%(ids)b::uuid[], %(versions)b::bigint[]) AS u (id, version) ON m.id = u.id
    WHERE m.tenant_id = %(tenant)s AND m.id BETWEEN %(first)s AND %(last)s AND m.row_version = u.version
    ORDER BY m.id FOR UPDATE OF m
"""
_ARCHIVE = """
    INSERT INTO retention_archiverecord (id, tenant_id, created_at, session_id, customer_id, role, position, mode,
        sealed, scrubbed, identifiers, digest, archived_at, hidden_at, document)
    SELECT m.id, m.tenant_id, m.created_at, m.session_id, m.customer_id, m.role, m.position, %(mode)s,
        u.sealed, u.scrubbed, m.identifiers, u.digest, %(now)s, m.hidden_at, u.document::tsvector
    FROM unnest(%(ids)b::uuid[], %(sealed)b::bytea[], %(scrubbed)b::text[], %(digests)b::bytea[], %(documents)b::text[])
        AS u (id, sealed, scrubbed, digest, document)
    JOIN conversations_message m
        ON m.tenant_id = %(tenant)s AND m.id BETWEEN %(first)s AND %(last)s AND m.id = u.id
    ON CONFLICT (id) DO NOTHING
"""
_DELETE = "DELETE FROM conversations_message WHERE tenant_id = %(tenant)s AND id = ANY (%(ids)b::uuid[])"
# Raising the epoch makes cached windows stale.
_COUNT_DOWN = """
    UPDATE conversations_session s SET message_count = greatest(0, s.message_count - u.gone), epoch = s.epoch + 1
    FROM unnest(%(sessions)s::uuid[], %(gone)s::int[]) AS u (id, gone)
    WHERE s.tenant_id = %(tenant)s AND s.id = u.id
"""


@dataclass(frozen=True)
class Selection:
    """Which messages to consider: SQL over `m` with its parameters."""

    condition: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def possibly_expired(policy: Policy, now: datetime, after: UUID = FIRST_ID) -> Selection:
    """Everything after `after` whose period may be over: the bound on ids prunes partitions, the law decides."""
    youngest = bounds(now, policy.messages).none_expired_after
    condition = "m.id > %(after)s AND m.id < %(below)s"
    return Selection(condition, {"after": after, "below": ids.floor_id(youngest)})


@dataclass(frozen=True)
class Disposed:
    """What one batch did. `leaves` are the Merkle leaves of what went, in the order of the ids."""

    archived: int = 0
    destroyed: int = 0
    leaves: tuple[bytes, ...] = ()
    ids: tuple[UUID, ...] = ()
    session_ids: tuple[UUID, ...] = ()
    last_id: UUID | None = None  # the last one considered
    exhausted: bool = True  # there was nothing more to select


def dispose_messages(
    *,
    tenant_id: UUID,
    policy: Policy,
    selection: Selection,
    reason: Reason,
    now: datetime,
    limit: int,
) -> Disposed:
    """Archive or destroy up to `limit` of the selected messages, as the law allows.

    Runs inside a tenant scope, as the last work of its transaction: it takes the tenant's lock shared, then the
    sessions by id, then the messages.
    """
    locks.share(tenant_id)
    execute_in_bulk(_BEGIN, {"reason": str(reason.value)})
    judged = _read(tenant_id, policy, selection, now, limit)
    to_archive = [source for verdict, source in judged if verdict is Verdict.ARCHIVE]
    packings = archiving.pack(tenant_id, to_archive, policy.archive_mode)
    ending = [source for _, source in judged]
    free = _lock(tenant_id, ending)
    archived = 0
    for packing in packings:
        records = [record for record in packing.records if record.id in free]
        _archive(tenant_id, records, policy, now)
        archived += len(records)
        free -= packing.broken
    gone = [source for source in ending if source.id in free]
    _delete(tenant_id, gone)
    return Disposed(
        archived=archived,
        destroyed=len(gone) - archived,
        leaves=tuple(leaf_of(source.id, source.row_version, source.sealed) for source in gone),
        ids=tuple(source.id for source in gone),
        session_ids=tuple({source.session_id for source in gone}),
        last_id=judged[-1][1].id if judged else None,
        exhausted=len(judged) < limit,
    )


def leaf_of(message_id: UUID, row_version: int, sealed: bytes) -> bytes:
    """The Merkle leaf of a message that went: its id, its version, and a hash of its sealed bytes.

    SQL twin: `LEAF_SQL`. Ciphertext cannot be guessed, hence the leaf says nothing about what was said.
    """
    return leaf_hash(message_id.bytes + row_version.to_bytes(8) + sha256(sealed).digest())


LEAF_SQL = r"sha256('\x00'::bytea || uuid_send(m.id) || int8send(m.row_version) || sha256(m.sealed))"


def law_parameters(tenant_id: UUID, policy: Policy, now: datetime) -> dict[str, Any]:
    return {"tenant": tenant_id, **parameters(RecordClass.MESSAGES, policy, now)}


def _read(
    tenant_id: UUID,
    policy: Policy,
    selection: Selection,
    now: datetime,
    limit: int,
) -> list[tuple[Verdict, Source]]:
    values = {**law_parameters(tenant_id, policy, now), **selection.parameters}
    values |= {"verdicts": [str(verdict.value) for verdict in ENDS], "limit": limit}
    rows = execute_in_bulk(
        _READ.format(verdict=MESSAGE_VERDICT, condition=selection.condition), values
    ).fetchall()
    return [(Verdict(verdict), Source(*columns)) for verdict, *columns in rows]


def _lock(tenant_id: UUID, sources: Sequence[Source]) -> set[UUID]:
    """Lock the messages; returns those that have not changed since they were read."""
    if not sources:
        return set()
    sessions = sorted({source.session_id for source in sources})
    execute_in_bulk(_LOCK_SESSIONS, {"tenant": tenant_id, "sessions": sessions})
    values = {
        "tenant": tenant_id,
        "first": sources[0].id,
        "last": sources[-1].id,
        "ids": [source.id for source in sources],
        "versions": [source.row_version for source in sources],
    }
    return {message_id for (message_id,) in execute_in_bulk(_LOCK_MESSAGES, values).fetchall()}


def _archive(tenant_id: UUID, packed: Sequence[PackedMessage], policy: Policy, now: datetime) -> None:
    if not packed:
        return
    execute_in_bulk(
        _ARCHIVE,
        {
            "tenant": tenant_id,
            "mode": str(policy.archive_mode.value),
            "now": now,
            "first": packed[0].id,
            "last": packed[-1].id,
            "ids": [one.id for one in packed],
            "sealed": [one.sealed for one in packed],
            "scrubbed": [one.scrubbed for one in packed],
            "digests": [one.digest for one in packed],
            "documents": [one.document for one in packed],
        },
    )


def _delete(tenant_id: UUID, gone: Sequence[Source]) -> None:
    if not gone:
        return
    execute_in_bulk(_DELETE, {"tenant": tenant_id, "ids": [source.id for source in gone]})
    # Hidden messages are no longer counted.
    counts = Counter({source.session_id: 0 for source in gone})
    counts.update(source.session_id for source in gone if not source.hidden)
    values = {"tenant": tenant_id, "sessions": list(counts), "gone": list(counts.values())}
    execute_in_bulk(_COUNT_DOWN, values)
