"""Verifies counters against a recount of sessions and messages, plus baseline and purged counts, in one snapshot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections, transaction

PAGE = 200  # customers counted with one statement
FIRST = UUID(int=0)

COUNTED = (
    "session_count",
    "message_count",
    "intents",
    "languages",
    "channels",
    "outlets",
    "first_interaction_at",
    "last_interaction_at",
)

# What each customer's summary has to say. A name's count is summed by name before names become one object.
_EXPECTED = """
    WITH chosen AS (
        SELECT id AS customer_id FROM conversations_customer
        WHERE tenant_id = %(tenant)s AND id > %(after)s AND erased_at IS NULL {only} ORDER BY id LIMIT %(limit)s),
    sessions AS (
        SELECT s.customer_id, count(*) AS sessions,
               portraits_count_names(array_remove(array_agg(s.language::text), NULL), 1) AS languages,
               portraits_count_names(array_remove(array_agg(s.channel::text), NULL), 1) AS channels,
               portraits_count_names(array_remove(array_agg(s.outlet_id::text), NULL), 1) AS outlets
        FROM chosen JOIN conversations_session s
          ON s.tenant_id = %(tenant)s AND s.customer_id = chosen.customer_id AND s.hidden_at IS NULL
        GROUP BY s.customer_id),
    messages AS (
        SELECT m.customer_id, sum(m.number) AS messages,
               coalesce(jsonb_object_agg(m.intent, m.number) FILTER (WHERE m.intent IS NOT NULL), '{{}}') AS intents,
               min(m.first_at) AS first_at, max(m.last_at) AS last_at
        FROM (SELECT m.customer_id, m.intent, count(*) AS number, min(m.created_at) AS first_at,
                     max(m.created_at) AS last_at
              FROM chosen JOIN conversations_message m
                ON m.tenant_id = %(tenant)s AND m.customer_id = chosen.customer_id AND m.hidden_at IS NULL
              GROUP BY m.customer_id, m.intent) m
        GROUP BY m.customer_id),
    open AS (
        SELECT d.customer_id,
               sum(d.sessions * d.effect) AS sessions, sum(d.messages * d.effect) AS messages,
               portraits_sum_counts(portraits_count_names(d.intents, d.effect)) AS intents,
               portraits_sum_counts(portraits_count_names(d.languages, d.effect)) AS languages,
               portraits_sum_counts(portraits_count_names(d.channels, d.effect)) AS channels,
               portraits_sum_counts(portraits_count_names(d.outlets, d.effect)) AS outlets
        FROM chosen JOIN portraits_summarydelta d ON d.tenant_id = %(tenant)s AND d.customer_id = chosen.customer_id
        GROUP BY d.customer_id),
    purged AS (
        SELECT p.customer_id, sum(p.sessions) AS sessions, sum(p.messages) AS messages,
               portraits_sum_counts(p.intents) AS intents, portraits_sum_counts(p.languages) AS languages,
               portraits_sum_counts(p.channels) AS channels, portraits_sum_counts(p.outlets) AS outlets,
               min(p.first_at) AS first_at, max(p.last_at) AS last_at
        FROM (
            SELECT d.customer_id, d.sessions, d.messages, portraits_count_names(d.intents, 1) AS intents,
                   portraits_count_names(d.languages, 1) AS languages,
                   portraits_count_names(d.channels, 1) AS channels, portraits_count_names(d.outlets, 1) AS outlets,
                   d.first_at, d.last_at
            FROM chosen JOIN portraits_summarydelta d
              ON d.tenant_id = %(tenant)s AND d.customer_id = chosen.customer_id AND d.effect = 0
            UNION ALL
            SELECT s.customer_id, s.purged_sessions, s.purged_messages, s.purged_intents, s.purged_languages,
                   s.purged_channels, s.purged_outlets, s.purged_first_at, s.purged_last_at
            FROM chosen JOIN portraits_interactionsummary s
              ON s.tenant_id = %(tenant)s AND s.customer_id = chosen.customer_id
            UNION ALL
            SELECT s.customer_id, (s.baseline->>'session_count')::int, (s.baseline->>'message_count')::int,
                   s.baseline->'intents', s.baseline->'languages', s.baseline->'channels', s.baseline->'outlets',
                   (s.baseline->>'first_interaction_at')::timestamptz,
                   (s.baseline->>'last_interaction_at')::timestamptz
            FROM chosen JOIN portraits_interactionsummary s
              ON s.tenant_id = %(tenant)s AND s.customer_id = chosen.customer_id AND s.baseline IS NOT NULL) p
        GROUP BY p.customer_id),
    expected AS (
        SELECT c.customer_id,
               coalesce(s.sessions, 0) + coalesce(p.sessions, 0) AS session_count,
               coalesce(m.messages, 0) + coalesce(p.messages, 0) AS message_count,
               portraits_add_counts(coalesce(m.intents, '{{}}'), coalesce(p.intents, '{{}}')) AS intents,
               portraits_add_counts(coalesce(s.languages, '{{}}'), coalesce(p.languages, '{{}}')) AS languages,
               portraits_add_counts(coalesce(s.channels, '{{}}'), coalesce(p.channels, '{{}}')) AS channels,
               portraits_add_counts(coalesce(s.outlets, '{{}}'), coalesce(p.outlets, '{{}}')) AS outlets,
               least(m.first_at, p.first_at) AS first_interaction_at,
               greatest(m.last_at, p.last_at) AS last_interaction_at
        FROM chosen c LEFT JOIN sessions s USING (customer_id) LEFT JOIN messages m USING (customer_id)
        LEFT JOIN purged p USING (customer_id))
"""
_COMPARE = (
    _EXPECTED.format(only="")
    + """
    SELECT e.customer_id, array_remove(ARRAY[{differences}], NULL)
    FROM expected e LEFT JOIN portraits_currentsummary c
      ON c.tenant_id = %(tenant)s AND c.customer_id = e.customer_id
    ORDER BY e.customer_id
""".format(
        differences=", ".join(
            f"CASE WHEN coalesce(c.{name}, {zero}) IS DISTINCT FROM e.{name} THEN '{name}' END"
            if zero
            else f"CASE WHEN c.{name} IS DISTINCT FROM e.{name} THEN '{name}' END"
            for name, zero in zip(COUNTED, ("0", "0", *["'{}'"] * 4, "", ""), strict=True)
        )
    )
)
_LOCK = """
    SELECT id FROM conversations_customer
    WHERE tenant_id = %(tenant)s AND id = %(customer)s AND erased_at IS NULL FOR NO KEY UPDATE
"""
_PREPARE = """
    INSERT INTO portraits_interactionsummary (id, created_at, updated_at, tenant_id, customer_id, session_count,
        message_count, intents, languages, channels, outlets, purged_sessions, purged_messages, purged_intents,
        purged_languages, purged_channels, purged_outlets)
    VALUES (%(customer)s, now(), now(), %(tenant)s, %(customer)s, 0, 0, '{}', '{}', '{}', '{}', 0, 0, '{}', '{}',
        '{}', '{}') ON CONFLICT DO NOTHING
"""
# Totals without the open deltas: those are added by every reader, and folded in their time.
_REPAIR = (
    _EXPECTED.format(only="AND id = %(customer)s")
    + """
    UPDATE portraits_interactionsummary s SET
        session_count = e.session_count - coalesce(o.sessions, 0),
        message_count = e.message_count - coalesce(o.messages, 0),
        {names}, first_interaction_at = e.first_interaction_at, last_interaction_at = e.last_interaction_at,
        updated_at = now()
    FROM expected e LEFT JOIN open o USING (customer_id)
    WHERE s.tenant_id = %(tenant)s AND s.customer_id = e.customer_id
""".format(
        names=", ".join(
            f"{name} = portraits_add_counts(e.{name}, portraits_negated(coalesce(o.{name}, '{{}}')))"
            for name in ("intents", "languages", "channels", "outlets")
        )
    )
)


@dataclass(frozen=True)
class Difference:
    """A summary that does not say what the record says."""

    tenant_id: UUID
    customer_id: UUID
    fields: Sequence[str]
    repaired: bool


@dataclass
class Verified:
    checked: int = 0
    differing: int = 0
    repaired: int = 0


def verify_tenant(tenant_id: UUID, *, repair: bool, verified: Verified) -> Iterator[Difference]:
    """Every summary of the tenant that differs, in order; mended if asked. Adds what it did to `verified`.

    Takes no lock while it compares: writers go on, and each page is compared as of one moment.
    """
    after = FIRST
    while page := _compare(tenant_id, after):
        for customer_id, fields in page:
            verified.checked += 1
            if fields:
                verified.differing += 1
                if repair:
                    _mend(tenant_id, customer_id)
                    verified.repaired += 1
                yield Difference(tenant_id, customer_id, fields, repair)
        after = page[-1][0]


def _compare(tenant_id: UUID, after: UUID) -> list[tuple[UUID, list[str]]]:
    values: dict[str, Any] = {"tenant": tenant_id, "after": after, "limit": PAGE}
    with connections["ops"].cursor() as cursor:
        cursor.execute(_COMPARE, values)
        return [(customer_id, fields) for customer_id, fields in cursor.fetchall()]


def _mend(tenant_id: UUID, customer_id: UUID) -> None:
    """Write the recounted values; the customer's lock excludes folding meanwhile."""
    values: dict[str, Any] = {"tenant": tenant_id, "customer": customer_id, "after": FIRST, "limit": 1}
    with transaction.atomic(using="ops"), connections["ops"].cursor() as cursor:
        for statement in (_LOCK, _PREPARE, _REPAIR):
            cursor.execute(statement, values)
