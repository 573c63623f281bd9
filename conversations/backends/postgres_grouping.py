"""Counting sessions in PostgreSQL, in one pass over a tenant's sessions without reading messages."""

from collections.abc import Mapping
from typing import Any

import msgspec
from django.db import connection

from conversations import ids
from conversations.backends.grouping import (
    MOST_GROUPS,
    Group,
    GroupBy,
    Grouping,
    Groups,
    most_common,
    rounded,
)
from conversations.labels import LONGEST, label

_DAY = "date_trunc(%(interval)s, s.created_at, 'UTC')"
_LIST = "SELECT jsonb_array_elements_text(s.outcome -> '{name}') WHERE jsonb_typeof(s.outcome -> '{name}') = 'array'"
# Intents of messages are counted on their session, so that they outlive the messages.
_INTENTS = f"""
    SELECT coalesce(%(renamed)s::jsonb ->> i.name, i.name) FROM (
        SELECT jsonb_object_keys(s.intent_counts)
        UNION ALL SELECT s.intents ->> 'primary' WHERE jsonb_typeof(s.intents -> 'primary') = 'string') i (name)
    WHERE length(i.name) BETWEEN 1 AND {LONGEST}
"""
_ONE: Mapping[GroupBy, str] = {
    GroupBy.DAY: f"to_char({_DAY}, 'YYYY-MM-DD')",
    GroupBy.LANGUAGE: "s.language",
    GroupBy.CHANNEL: "s.channel",
    GroupBy.OUTLET_ID: "s.outlet_id",
    GroupBy.ISSUE_TYPE: "s.outcome ->> 'issue_type'",
    GroupBy.SUCCESS: "CASE WHEN jsonb_typeof(s.outcome -> 'success') = 'boolean' THEN s.outcome ->> 'success' END",
}
_MANY: Mapping[GroupBy, str] = {
    GroupBy.INTENT: _INTENTS,
    GroupBy.ENTITY: _LIST.format(name="entities"),
    GroupBy.TOOL: _LIST.format(name="tools_used"),
}

_GROUPS = f"""
    WITH chosen AS MATERIALIZED (
        SELECT {{keys}} AS keys, (s.outcome -> 'success')::text = 'true' AS success,
               (s.outcome -> 'success')::text IN ('true', 'false') AS told,
               CASE WHEN jsonb_typeof(s.outcome -> 'resolution_seconds') = 'number'
                    THEN (s.outcome ->> 'resolution_seconds')::float8 END AS seconds
        FROM conversations_session s
        WHERE s.tenant_id = %(tenant)s AND s.hidden_at IS NULL AND {{bounds}})
    SELECT k.key, count(*), avg(c.seconds), avg(c.success::int) FILTER (WHERE c.told),
           (SELECT count(*) FROM chosen WHERE {{has_key}})
    FROM chosen c CROSS JOIN LATERAL {{each}} k (key) WHERE k.key IS NOT NULL
    GROUP BY k.key ORDER BY count(*) DESC, k.key COLLATE "C" LIMIT {MOST_GROUPS}
"""


class PostgresGrouping:
    """`SessionCounter` on PostgreSQL. Called inside the tenant's scope."""

    name = "postgresql"

    def group(self, grouping: Grouping) -> Groups:
        counted = _count(grouping, {})
        if grouping.by is GroupBy.INTENT and (renamed := _renamed(counted)):
            return _count(grouping, renamed)
        return counted


def _renamed(counted: Groups) -> dict[str, str]:
    """Names that statistics show otherwise: two of them may become one, so they are counted again."""
    shown = {str(group.key): label(str(group.key)) for group in counted.groups}
    return {name: other for name, other in shown.items() if other is not None and other != name}


def _count(grouping: Grouping, renamed: Mapping[str, str]) -> Groups:
    values: dict[str, Any] = {
        "tenant": grouping.tenant_id,
        "interval": str(grouping.interval),
        "renamed": msgspec.json.encode(renamed).decode(),
    }
    bounds = {"start": ("s.id >= %(start)s", grouping.start), "end": ("s.id < %(end)s", grouping.end)}
    given = {
        name: (condition, ids.floor_id(at)) for name, (condition, at) in bounds.items() if at is not None
    }
    values |= {name: bound for name, (_, bound) in given.items()}
    conditions = " AND ".join(["true", *(condition for condition, _ in given.values())])
    with connection.cursor() as cursor:
        cursor.execute(_statement(grouping.by, conditions), values)
        rows = cursor.fetchall()
    groups = (
        Group(_key(grouping.by, key), count, rounded(seconds), rounded(None if rate is None else float(rate)))
        for key, count, seconds, rate, _ in rows
    )
    return most_common(groups, rows[0][4] if rows else 0)


def _statement(by: GroupBy, bounds: str) -> str:
    if by in _ONE:
        return _GROUPS.format(
            keys=_ONE[by], bounds=bounds, has_key="chosen.keys IS NOT NULL", each="(SELECT c.keys)"
        )
    distinct = f"ARRAY(SELECT DISTINCT {_MANY[by].strip().removeprefix('SELECT ')})"
    return _GROUPS.format(
        keys=distinct, bounds=bounds, has_key="cardinality(chosen.keys) > 0", each="unnest(c.keys)"
    )


def _key(by: GroupBy, key: str) -> str | bool:
    return key == "true" if by is GroupBy.SUCCESS else key
