"""Storage of each class now, and a forecast from recent activity.

Nothing is counted: sessions, purge runs and checkpoints carry counters, PostgreSQL knows the sizes of its tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, connections

from conversations import ids
from conversations.services.statistics.activity import DAYS, read_activity
from retention.enums import ArchiveMode, RecordClass
from retention.policies import Policy
from retention.services.policies import policy_in_force

HORIZON = 90  # days ahead
FEWEST = 1_000  # records among which a table's bytes are shared at least: partitions have a size when they are empty

TABLES: Mapping[str, tuple[str, ...]] = {
    "messages": ("conversations_message", "conversations_messageindex"),
    "archive": ("retention_archiverecord",),
    "audit": ("conversations_auditevent", "conversations_auditleaf"),
}
# Partitions' bytes, and their rows as the last VACUUM or ANALYZE found them; of every tenant together.
_SIZES = """
    SELECT root.relname, sum(pg_total_relation_size(leaf.oid))::bigint, sum(greatest(leaf.reltuples, 0))::bigint
    FROM unnest(%s::text[]) AS wanted (name)
    JOIN pg_class root ON root.oid = wanted.name::regclass
    LEFT JOIN LATERAL pg_partition_tree(root.oid) tree ON tree.isleaf
    JOIN pg_class leaf ON leaf.oid = coalesce(tree.relid, root.oid)
    GROUP BY root.relname
"""
_ROWS = """
    SELECT
        (SELECT coalesce(sum(message_count), 0) FROM conversations_session WHERE tenant_id = %(tenant)s),
        (SELECT coalesce(sum(archived) - coalesce(sum(destroyed) FILTER (WHERE record_class = %(archive)s), 0), 0)
         FROM retention_purgerun WHERE tenant_id = %(tenant)s),
        (SELECT coalesce(max(tree_size), 0) FROM retention_auditcheckpoint WHERE tenant_id = %(tenant)s)
"""


@dataclass(frozen=True, slots=True)
class StorageShare:
    """A tenant's share: bytes now, and about how many at the horizon."""

    name: str
    records: int
    bytes: int
    forecast: int


def read_storage(tenant_id: UUID) -> list[StorageShare]:
    """By class; estimates. Runs inside a tenant scope."""
    policy = policy_in_force(tenant_id, ids.now())
    daily = read_activity(tenant_id).total / DAYS
    rows, sizes = _rows(tenant_id), _sizes()
    found = []
    for name, tables in TABLES.items():
        each = sum(sizes[table][0] / max(sizes[table][1], rows[name], FEWEST) for table in tables)
        now = rows[name] * each
        found.append(StorageShare(name, rows[name], int(now), int(_later(name, now, daily * each, policy))))
    return found


def _later(name: str, now: float, daily: float, policy: Policy) -> float:
    """Bytes at the horizon, when `daily` bytes come every day and nothing stays longer than its period.

    What is archived is a part of what is said, about as large; of the audit nothing is foreseen.
    """
    if name == "audit" or (name == RecordClass.ARCHIVE and policy.archive_mode is ArchiveMode.NONE):
        return now
    period = policy.messages if name == RecordClass.MESSAGES else policy.archive
    return min(now + HORIZON * daily, max(now, period.most_days * daily))


def _rows(tenant_id: UUID) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, {"tenant": tenant_id, "archive": RecordClass.ARCHIVE.value})
        return dict(zip(TABLES, map(int, cursor.fetchone()), strict=True))


def _sizes() -> dict[str, tuple[int, int]]:
    with connections["ops"].cursor() as cursor:
        cursor.execute(_SIZES, [[table for tables in TABLES.values() for table in tables]])
        return {name: (size, known) for name, size, known in cursor.fetchall()}
