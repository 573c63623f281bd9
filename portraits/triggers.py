"""PostgreSQL triggers that count: each writes deltas in the very statement that changes sessions or messages.

A delta is a row of its own, so appends of one customer never wait for each other. The transaction's `app.reason`
tells a purge (`Reason.PURGE`), after which things stay counted, from a delete.
"""

import pgtrigger

from conversations.enums import Reason
from portraits.enums import Effect

_PURGING = f"current_setting('app.reason', true) = '{Reason.PURGE.value}'"
_CAME = str(Effect.CAME.value)
_GONE = f"CASE WHEN {_PURGING} THEN {Effect.PURGED.value} ELSE {Effect.LEFT.value} END"
# A purge that keeps a row where it counts has only changed it.
_CHANGED_OR_GONE = (
    f"CASE WHEN {_PURGING} AND NOT c.stays THEN {Effect.PURGED.value} ELSE {Effect.LEFT.value} END"
)

_COUNTS = "{row}.customer_id IS NOT NULL AND {row}.hidden_at IS NULL"
_MESSAGES = f"""
    INSERT INTO portraits_summarydelta (tenant_id, customer_id, effect, messages, intents, first_at, last_at)
    SELECT c.tenant_id, c.customer_id, {{effect}}, count(*),
           coalesce(array_agg(c.intent) FILTER (WHERE c.intent IS NOT NULL), '{{{{}}}}'),
           min(c.created_at), max(c.created_at)
    FROM {{rows}} c WHERE {_COUNTS.format(row="c")} GROUP BY 1, 2, 3;
"""
_SESSIONS = f"""
    INSERT INTO portraits_summarydelta (tenant_id, customer_id, effect, sessions, languages, channels, outlets)
    SELECT c.tenant_id, c.customer_id, {{effect}}, count(*),
           array_remove(array_agg(c.language::text), NULL), array_remove(array_agg(c.channel::text), NULL),
           array_remove(array_agg(c.outlet_id::text), NULL)
    FROM {{rows}} c WHERE {_COUNTS.format(row="c")} GROUP BY 1, 2, 3;
"""
# For a partition that the purge drops as a whole.
COUNT_DROPPED = _MESSAGES.format(effect=Effect.PURGED.value, rows="{partition}")
# What counting or learning reads of a message that is annotated, hidden, or given its customer later.
_READ_OF_MESSAGES = "({row}.customer_id, {row}.hidden_at, {row}.intent, {row}.agent_responses)"
_CHANGED_MESSAGES = (
    f"(SELECT {{side}}.*, {_COUNTS.format(row='n')} AS stays FROM new_rows n JOIN old_rows o USING (id) "
    f"WHERE {_READ_OF_MESSAGES.format(row='n')} IS DISTINCT FROM {_READ_OF_MESSAGES.format(row='o')})"
)
_COUNTED_OF_SESSIONS = ("customer_id", "hidden_at", "language", "channel", "outlet_id")


def count_messages() -> list[pgtrigger.Trigger]:
    """Deltas for messages that come, change and go."""
    changed = _MESSAGES.format(effect=_CHANGED_OR_GONE, rows=_CHANGED_MESSAGES.format(side="o"))
    changed += _MESSAGES.format(effect=_CAME, rows=_CHANGED_MESSAGES.format(side="n"))
    return [
        _statement(
            "count_inserted",
            pgtrigger.Insert,
            _MESSAGES.format(effect=_CAME, rows="new_rows"),
            new="new_rows",
        ),
        _statement("count_updated", pgtrigger.Update, changed, new="new_rows", old="old_rows"),
        _statement(
            "count_deleted", pgtrigger.Delete, _MESSAGES.format(effect=_GONE, rows="old_rows"), old="old_rows"
        ),
    ]


def count_sessions() -> list[pgtrigger.Trigger]:
    """Deltas for sessions that come, change and go.

    Updates go row by row: every append bumps its session, and the condition costs nothing when it fails.
    """
    stays = _COUNTS.format(row="NEW")
    changed = _SESSIONS.format(effect=_CHANGED_OR_GONE, rows=f"(SELECT OLD.*, {stays} AS stays)")
    changed += _SESSIONS.format(effect=_CAME, rows="(SELECT NEW.*)")
    return [
        _statement(
            "count_inserted",
            pgtrigger.Insert,
            _SESSIONS.format(effect=_CAME, rows="new_rows"),
            new="new_rows",
        ),
        pgtrigger.Trigger(
            name="count_updated",
            level=pgtrigger.Row,
            when=pgtrigger.After,
            operation=pgtrigger.Update,
            condition=pgtrigger.Condition(
                " OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in _COUNTED_OF_SESSIONS)
            ),
            func=changed + "RETURN NULL;",
        ),
        _statement(
            "count_deleted", pgtrigger.Delete, _SESSIONS.format(effect=_GONE, rows="old_rows"), old="old_rows"
        ),
    ]


def _statement(name: str, operation: pgtrigger.Operation, func: str, **tables: str) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=operation,
        referencing=pgtrigger.Referencing(**tables),
        func=func + "RETURN NULL;",
    )
