"""The summary class: what is known about a person, for some time after their last interaction.

Other apps register where they store it (`Holding`), so that none of them is imported here.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, F, Func

from conversations import ids
from conversations.enums import Reason
from conversations.merkle import leaf_hash
from conversations.models import Customer, DataKey, Memory
from conversations.ports import Holding, Target, registry
from retention.enums import RecordClass
from retention.law import held_sql, parameters
from retention.periods import bounds, expires_sql
from retention.policies import Policy
from retention.services import locks
from retention.services.holds import HOLDS, SESSION_HELD
from retention.services.purges.disposition import FIRST_ID, Disposed
from retention.services.purges.due import Judged

BATCH = 100  # customers, each of whom may have much data

# The last interaction with a customer: cleared sessions have left it on the customer itself.
SINCE = """greatest(c.created_at, c.last_interaction_at,
    (SELECT max(coalesce(s.last_message_at, s.created_at)) FROM conversations_session s
     WHERE s.tenant_id = c.tenant_id AND s.customer_id = c.id))"""
CUSTOMER_HELD = held_sql(HOLDS, since=SINCE, began="c.created_at", customer_id="c.id")
_ENDED_AT = expires_sql(SINCE)
OVER = f"%(now)s >= {_ENDED_AT}"

# What may still refer to a customer; while it does, the bare row stays.
_REFERRED = """(
    EXISTS (SELECT FROM conversations_session s WHERE s.tenant_id = c.tenant_id AND s.customer_id = c.id)
    OR EXISTS (SELECT FROM retention_archiverecord a WHERE a.tenant_id = c.tenant_id AND a.customer_id = c.id)
    OR EXISTS (SELECT FROM conversations_message m WHERE m.tenant_id = c.tenant_id AND m.customer_id = c.id))"""
_JUDGE = """
    SELECT c.id, NOT {held} AS ends, {held} AS held, {ended_at} AS ended_at FROM conversations_customer c
    WHERE c.tenant_id = %(tenant)s AND c.id > %(after)s AND c.created_at < %(youngest)s
      AND {over} AND ({known} OR NOT {referred})
"""
_DUE = "SELECT d.id FROM ({judged}) d WHERE d.ends ORDER BY d.id LIMIT %(limit)s"
_EXPIRED_MEMORIES = """
    DELETE FROM conversations_memory WHERE tenant_id = %(tenant)s AND id IN (
        SELECT m.id FROM conversations_memory m
        WHERE m.tenant_id = %(tenant)s AND m.expires_at <= %(now)s AND NOT {held} LIMIT %(limit)s)
"""
_STATISTICS = """
    DELETE FROM conversations_session WHERE tenant_id = %(tenant)s AND id IN (
        SELECT s.id FROM conversations_session s
        WHERE s.tenant_id = %(tenant)s AND s.cleared_at IS NOT NULL AND s.created_at < %(youngest)s
          AND %(now)s >= {expires} AND NOT {held}
          AND NOT EXISTS (SELECT FROM conversations_message m
                          WHERE m.tenant_id = s.tenant_id AND m.session_id = s.id)
          AND NOT EXISTS (SELECT FROM conversations_contextreceipt r
                          WHERE r.tenant_id = s.tenant_id AND r.session_id = s.id)
        ORDER BY s.id LIMIT %(limit)s)
"""
_MEMORY_HELD = held_sql(HOLDS, since="m.created_at", customer_id="m.customer_id")
_NAMED = re.compile(r"%\((\w+)\)s")


class SummaryOver(Func):
    """Whether the summary period of a row's customer is over. The bound on `created_at` skips new customers cheaply."""

    template = (
        "EXISTS (SELECT FROM conversations_customer c WHERE c.tenant_id = %%(tenant)s AND c.id = %(expressions)s"
        f" AND c.created_at < %%(youngest)s AND {OVER.replace('%', '%%')})"
    )
    output_field = BooleanField()

    def __init__(self, customer: str, tenant_id: UUID, policy: Policy, now: datetime) -> None:
        super().__init__(F(customer))
        self.values = _values(tenant_id, policy, now)

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **extra: Any) -> Any:
        sql, params = super().as_sql(compiler, connection, *args, **extra)
        assert not params, "the customer is a column"
        return _NAMED.sub("%s", sql), [self.values[name] for name in _NAMED.findall(sql)]


class PurgeableSummaries:
    """`Purgeable` for what is known of customers; its records are customers."""

    record_class = RecordClass.SUMMARIES

    def judge(self, tenant_id: UUID, policy: Policy, now: datetime) -> Judged:
        return Judged(_judge(), _values(tenant_id, policy, now))

    def dispose(self, tenant_id: UUID, policy: Policy, now: datetime, after: UUID, limit: int) -> Disposed:
        locks.share(tenant_id)
        limit = min(limit, BATCH)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.reason', %s, true)", [str(Reason.PURGE.value)])
            values = _values(tenant_id, policy, now) | {"after": after, "limit": limit}
            cursor.execute(_DUE.format(judged=_judge()), values)
            due = [customer_id for (customer_id,) in cursor.fetchall()]
        for customer_id in due:
            _forget(tenant_id, customer_id)
        _remove_unreferred(tenant_id, due)
        return Disposed(
            destroyed=len(due),
            leaves=tuple(leaf_hash(customer_id.bytes) for customer_id in due),
            ids=tuple(due),
            last_id=due[-1] if due else None,
            exhausted=len(due) < limit,
        )

    def sweep(self, tenant_id: UUID, policy: Policy, now: datetime) -> Mapping[str, int]:
        """Remove expired memories, then sessions of which only statistics were left."""
        locks.share(tenant_id)
        values = _values(tenant_id, policy, now) | {"limit": 10 * BATCH}
        expires = expires_sql("coalesce(s.last_message_at, s.created_at)")
        statements = {
            "memories": _EXPIRED_MEMORIES.format(held=_MEMORY_HELD),
            "sessions": _STATISTICS.format(expires=expires, held=SESSION_HELD),
        }
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.reason', %s, true)", [str(Reason.PURGE.value)])
            swept = {}
            for name, statement in statements.items():
                cursor.execute(statement, values)
                swept[name] = cursor.rowcount
        return {name: count for name, count in swept.items() if count}


def summaries_over(tenant_id: UUID, policy: Policy, customer_ids: Sequence[UUID], now: datetime) -> set[UUID]:
    """Those of the customers whose summary period is over. Runs inside a tenant scope."""
    values = _values(tenant_id, policy, now) | {"chosen": list(customer_ids)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id FROM conversations_customer c"
            f" WHERE c.tenant_id = %(tenant)s AND c.id = ANY (%(chosen)s) AND {OVER}",
            values,
        )
        return {customer_id for (customer_id,) in cursor.fetchall()}


def held_customers(tenant_id: UUID, customer_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the customers that a hold covers now. Runs inside a tenant scope."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id FROM conversations_customer c"
            f" WHERE c.tenant_id = %(tenant)s AND c.id = ANY (%(chosen)s) AND {CUSTOMER_HELD}",
            {"tenant": tenant_id, "chosen": list(customer_ids), "now": ids.now()},
        )
        return {customer_id for (customer_id,) in cursor.fetchall()}


def _forget(tenant_id: UUID, customer_id: UUID) -> None:
    target = Target(customer_id=customer_id)
    for holding in _holdings():
        holding.erase(tenant_id, target)
    Memory.objects.for_tenant(tenant_id).filter(customer_id=customer_id).delete()
    # The external id stays while the archive does: compliance staff ask for a customer's records by it.
    Customer.objects.for_tenant(tenant_id).filter(id=customer_id).update(metadata={}, language=None)


def _remove_unreferred(tenant_id: UUID, customer_ids: Sequence[UUID]) -> None:
    """Remove customers that nothing refers to, and keys that no longer open anything."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM conversations_customer c WHERE c.tenant_id = %s AND c.id = ANY (%s)"
            f" AND NOT {_REFERRED} RETURNING c.id",
            [tenant_id, list(customer_ids)],
        )
        gone = [customer_id for (customer_id,) in cursor.fetchall()]
    DataKey.objects.for_tenant(tenant_id).filter(customer_id__in=gone).delete()


def _holdings() -> list[Holding]:
    return [h for h in registry.holdings.values() if h.record_class == RecordClass.SUMMARIES]


def _judge() -> str:
    tables = {Memory._meta.db_table, *(table for holding in _holdings() for table in holding.tables)}
    known = " OR ".join(
        ["c.metadata <> '{}'", "c.language IS NOT NULL"]
        + [
            f"EXISTS (SELECT FROM {table} k WHERE k.tenant_id = c.tenant_id AND k.customer_id = c.id)"
            for table in sorted(tables)
        ]
    )
    return _JUDGE.format(
        held=CUSTOMER_HELD, ended_at=_ENDED_AT, over=OVER, known=f"({known})", referred=_REFERRED
    )


def _values(tenant_id: UUID, policy: Policy, now: datetime) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "after": FIRST_ID,
        "youngest": bounds(now, policy.summaries).none_expired_after,
        **parameters(RecordClass.SUMMARIES, policy, now),
    }
