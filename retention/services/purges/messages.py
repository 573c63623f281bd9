"""The message class: messages, context receipts, and the content of sessions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from conversations import ids
from conversations.enums import Reason
from retention.enums import RecordClass
from retention.law import expires_sql, held_sql
from retention.periods import bounds
from retention.policies import Policy
from retention.services import locks
from retention.services.holds import HOLDS, MESSAGE_HELD, SESSION_HELD
from retention.services.purges.disposition import (
    ENDS,
    FIRST_ID,
    MESSAGE_VERDICT,
    Disposed,
    Selection,
    dispose_messages,
    law_parameters,
    possibly_expired,
)
from retention.services.purges.due import Judged

_ENDED_AT = expires_sql("m.created_at")
EXPIRED = f"%(now)s >= {_ENDED_AT}"
BATCH = 1_000

_JUDGE = """
    SELECT m.id, {verdict} = ANY (%(ends)s) AS ends, {held} AS held, {ended_at} AS ended_at
    FROM conversations_message m WHERE m.tenant_id = %(tenant)s AND {selection}
"""
_RECEIPTS = """
    DELETE FROM conversations_contextreceipt WHERE tenant_id = %(tenant)s AND id IN (
        SELECT r.id FROM conversations_contextreceipt r
        WHERE r.tenant_id = %(tenant)s AND r.id < %(below)s AND %(now)s >= {expires} AND NOT {held}
        ORDER BY r.id LIMIT %(limit)s)
"""
# A session is cleared when none of its messages is left and the last one has expired.
_OVER = """
    SELECT s.id, s.customer_id, coalesce(s.last_message_at, s.created_at) AS since FROM conversations_session s
    WHERE s.tenant_id = %(tenant)s AND s.cleared_at IS NULL
      AND coalesce(s.last_message_at, s.created_at) < %(youngest)s
      AND %(now)s >= {expires} AND NOT {held}
      AND NOT EXISTS (SELECT FROM conversations_message m WHERE m.tenant_id = s.tenant_id AND m.session_id = s.id)
    ORDER BY s.id LIMIT %(limit)s FOR UPDATE OF s
"""
# The customer's period goes on from the session's last message.
_CLEAR = """
    WITH over AS ({over}), seen AS (
        UPDATE conversations_customer c
        SET last_interaction_at = greatest(c.last_interaction_at, l.since), updated_at = c.updated_at
        FROM (SELECT customer_id, max(since) AS since FROM over GROUP BY customer_id) l
        WHERE c.tenant_id = %(tenant)s AND c.id = l.customer_id)
    UPDATE conversations_session s
    SET title = NULL, context = '{{}}', metadata = '{{}}', external_id = NULL, customer_id = NULL, cleared_at = %(now)s,
        epoch = s.epoch + 1
    FROM over WHERE s.tenant_id = %(tenant)s AND s.id = over.id
"""

_RECEIPT_HELD = held_sql(HOLDS, since="r.created_at", customer_id="r.customer_id", session_id="r.session_id")


class PurgeableMessages:
    """`Purgeable` for messages."""

    record_class = RecordClass.MESSAGES

    def judge(self, tenant_id: UUID, policy: Policy, now: datetime) -> Judged:
        selection = _expired(policy, now)
        sql = _JUDGE.format(
            verdict=MESSAGE_VERDICT, held=MESSAGE_HELD, ended_at=_ENDED_AT, selection=selection.condition
        )
        ends = [str(verdict.value) for verdict in ENDS]
        return Judged(sql, {**law_parameters(tenant_id, policy, now), **selection.parameters, "ends": ends})

    def dispose(self, tenant_id: UUID, policy: Policy, now: datetime, after: UUID, limit: int) -> Disposed:
        return dispose_messages(
            tenant_id=tenant_id,
            policy=policy,
            selection=_expired(policy, now, after),
            reason=Reason.PURGE,
            now=now,
            limit=limit,
        )

    def sweep(self, tenant_id: UUID, policy: Policy, now: datetime) -> Mapping[str, int]:
        """Remove expired context receipts, then clear sessions without messages."""
        locks.share(tenant_id)
        youngest = bounds(now, policy.messages).none_expired_after
        values = law_parameters(tenant_id, policy, now)
        values |= {"below": ids.floor_id(youngest), "youngest": youngest, "limit": BATCH}
        since = "coalesce(s.last_message_at, s.created_at)"
        over = _OVER.format(expires=expires_sql(since), held=SESSION_HELD)
        swept = {
            "context_receipts": _execute(
                _RECEIPTS.format(expires=expires_sql("r.created_at"), held=_RECEIPT_HELD), values
            ),
            "sessions_cleared": _execute(_CLEAR.format(over=over), values),
        }
        return {name: count for name, count in swept.items() if count}


def _expired(policy: Policy, now: datetime, after: UUID = FIRST_ID) -> Selection:
    """Expired messages; hidden ones belong to their erasure, which ends them sooner."""
    selection = possibly_expired(policy, now, after)
    return Selection(f"{selection.condition} AND {EXPIRED}", selection.parameters)


def _execute(statement: str, values: Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)
