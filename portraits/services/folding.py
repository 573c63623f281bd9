"""Folds deltas into totals. Summaries are read with their open deltas, so folding never changes an answer."""

from typing import Any
from uuid import UUID

from django.db import connections, transaction

from conversations.locking import lock_number
from portraits.enums import Work
from portraits.models import SummaryDelta

BATCH = 5_000  # deltas in one transaction: about a tenth of a second

_WHOSE = """
    SELECT DISTINCT customer_id FROM (SELECT customer_id FROM portraits_summarydelta WHERE tenant_id = %(tenant)s
                                      ORDER BY id LIMIT %(limit)s) oldest
"""
# Locks customers first and by id, as everything does that writes what belongs to a customer.
_LOCK = """
    SELECT id FROM conversations_customer
    WHERE tenant_id = %(tenant)s AND id = ANY (%(asked)s) AND erased_at IS NULL ORDER BY id FOR NO KEY UPDATE
"""
_FORGET = "DELETE FROM portraits_summarydelta WHERE tenant_id = %(tenant)s AND customer_id = ANY (%(erased)s)"
_PREPARE = """
    INSERT INTO portraits_interactionsummary (id, created_at, updated_at, tenant_id, customer_id, session_count,
        message_count, intents, languages, channels, outlets, purged_sessions, purged_messages, purged_intents,
        purged_languages, purged_channels, purged_outlets)
    SELECT u.id, now(), now(), %(tenant)s, u.id, 0, 0, '{}', '{}', '{}', '{}', 0, 0, '{}', '{}', '{}', '{}'
    FROM unnest(%(customers)s::uuid[]) AS u (id) ON CONFLICT DO NOTHING
"""
_FOLD = """
    WITH taken AS (
        DELETE FROM portraits_summarydelta WHERE tenant_id = %(tenant)s AND id IN (
            SELECT id FROM portraits_summarydelta
            WHERE tenant_id = %(tenant)s AND customer_id = ANY (%(customers)s) ORDER BY id LIMIT %(limit)s)
        RETURNING *),
    change AS (
        SELECT customer_id, sum(sessions * effect) AS sessions, sum(messages * effect) AS messages,
               portraits_sum_counts(portraits_count_names(intents, effect)) AS intents,
               portraits_sum_counts(portraits_count_names(languages, effect)) AS languages,
               portraits_sum_counts(portraits_count_names(channels, effect)) AS channels,
               portraits_sum_counts(portraits_count_names(outlets, effect)) AS outlets,
               min(first_at) AS first_at, max(last_at) AS last_at,
               bool_or(effect = -1 AND messages > 0) AS shrinks, bool_or(messages > 0) AS speaks
        FROM taken GROUP BY customer_id),
    purged AS (
        SELECT customer_id, sum(sessions) AS sessions, sum(messages) AS messages,
               portraits_sum_counts(portraits_count_names(intents, 1)) AS intents,
               portraits_sum_counts(portraits_count_names(languages, 1)) AS languages,
               portraits_sum_counts(portraits_count_names(channels, 1)) AS channels,
               portraits_sum_counts(portraits_count_names(outlets, 1)) AS outlets,
               min(first_at) AS first_at, max(last_at) AS last_at
        FROM taken WHERE effect = 0 GROUP BY customer_id),
    span AS (
        SELECT c.customer_id, c.shrinks, CASE WHEN c.shrinks THEN (
                   SELECT m.created_at FROM conversations_message m
                   WHERE m.tenant_id = %(tenant)s AND m.customer_id = c.customer_id AND m.hidden_at IS NULL
                   ORDER BY m.id LIMIT 1) ELSE c.first_at END AS first_at,
               CASE WHEN c.shrinks THEN (
                   SELECT m.created_at FROM conversations_message m
                   WHERE m.tenant_id = %(tenant)s AND m.customer_id = c.customer_id AND m.hidden_at IS NULL
                   ORDER BY m.id DESC LIMIT 1) ELSE c.last_at END AS last_at
        FROM change c),
    spoken AS (
        UPDATE conversations_customer c SET last_interaction_at = span.last_at FROM span
        WHERE c.tenant_id = %(tenant)s AND c.id = span.customer_id
          AND span.last_at > coalesce(c.last_interaction_at, '-infinity')),
    marked AS (
        INSERT INTO portraits_refreshmark AS old (tenant_id, customer_id, work)
        SELECT %(tenant)s, customer_id, %(work)s FROM change WHERE speaks
        ON CONFLICT (tenant_id, customer_id, work)
        DO UPDATE SET marks = old.marks + 1, next_at = least(old.next_at, now()), attempts = 0),
    folded AS (
        UPDATE portraits_interactionsummary s SET
            session_count = s.session_count + c.sessions, message_count = s.message_count + c.messages,
            intents = portraits_add_counts(s.intents, c.intents),
            languages = portraits_add_counts(s.languages, c.languages),
            channels = portraits_add_counts(s.channels, c.channels),
            outlets = portraits_add_counts(s.outlets, c.outlets),
            purged_sessions = s.purged_sessions + coalesce(p.sessions, 0),
            purged_messages = s.purged_messages + coalesce(p.messages, 0),
            purged_intents = portraits_add_counts(s.purged_intents, coalesce(p.intents, '{}')),
            purged_languages = portraits_add_counts(s.purged_languages, coalesce(p.languages, '{}')),
            purged_channels = portraits_add_counts(s.purged_channels, coalesce(p.channels, '{}')),
            purged_outlets = portraits_add_counts(s.purged_outlets, coalesce(p.outlets, '{}')),
            purged_first_at = least(s.purged_first_at, p.first_at),
            purged_last_at = greatest(s.purged_last_at, p.last_at),
            first_interaction_at = least(
                CASE WHEN span.shrinks
                     THEN least(s.purged_first_at, p.first_at, (s.baseline->>'first_interaction_at')::timestamptz)
                     ELSE s.first_interaction_at END, span.first_at),
            last_interaction_at = greatest(
                CASE WHEN span.shrinks
                     THEN greatest(s.purged_last_at, p.last_at, (s.baseline->>'last_interaction_at')::timestamptz)
                     ELSE s.last_interaction_at END, span.last_at),
            updated_at = now()
        FROM change c JOIN span USING (customer_id) LEFT JOIN purged p USING (customer_id)
        WHERE s.tenant_id = %(tenant)s AND s.customer_id = c.customer_id)
    SELECT count(*) FROM taken
"""


def fold_all() -> int:
    """Fold the open deltas of every tenant; returns how many. A tenant that another process is folding is skipped."""
    tenants = SummaryDelta.objects.using("ops").values_list("tenant_id", flat=True).distinct()
    return sum(_fold_tenant(tenant_id) for tenant_id in list(tenants))


def _fold_tenant(tenant_id: UUID) -> int:
    folded = 0
    while True:
        with transaction.atomic(using="ops"):
            count = _fold(tenant_id) if _is_our_turn(tenant_id) else 0
        folded += count
        if count < BATCH:
            return folded


def _fold(tenant_id: UUID) -> int:
    values: dict[str, Any] = {"tenant": tenant_id, "limit": BATCH, "work": Work.LEARN.value}
    with connections["ops"].cursor() as cursor:
        cursor.execute(_WHOSE, values)
        asked = values["asked"] = [customer_id for (customer_id,) in cursor.fetchall()]
        cursor.execute(_LOCK, values)
        known = values["customers"] = [customer_id for (customer_id,) in cursor.fetchall()]
        values["erased"] = list(set(asked) - set(known))
        cursor.execute(_FORGET, values)
        forgotten: int = cursor.rowcount
        cursor.execute(_PREPARE, values)
        cursor.execute(_FOLD, values)
        folded: int = cursor.fetchone()[0]
        return forgotten + folded


def _is_our_turn(tenant_id: UUID) -> bool:
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_number("folding", tenant_id)])
        return bool(cursor.fetchone()[0])
