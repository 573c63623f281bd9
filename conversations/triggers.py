"""PostgreSQL triggers that write the outbox: no write path can forget them, not even raw SQL.

Signals miss `bulk_create`, `update()`, raw SQL and rollbacks; a statement-level trigger sees each of them, in the
transaction of the change. `enqueue_mirror` (SECURITY DEFINER) writes the events: `app` itself may not touch them.
"""

from collections.abc import Sequence

import pgtrigger

from conversations.enums import Entity

# A message's search document holds its two predecessors' words, so these follow when it is hidden or deleted.
# A statement trigger also fires for no rows: without the condition this update would set itself off for ever. It
# counts, because for EXISTS the planner compares every new row with every old one.
# Something can follow only where the changed rows leave a gap. OFFSET 0 and the array keep the planner, which knows
# nothing about a transition table, from joining all messages there are; the session's span prunes the partitions.
_BUMP_SUCCESSORS = """
    IF (SELECT count(*) FROM {changed} c) > 0 THEN
        UPDATE conversations_message m SET row_version = nextval('row_version')
        WHERE m.id = ANY (ARRAY(
            SELECT x.id
            FROM (SELECT c.tenant_id, c.session_id, c.position,
                         lead(c.position, 1) OVER w AS second, lead(c.position, 2) OVER w AS third
                  FROM {changed} c WINDOW w AS (PARTITION BY c.tenant_id, c.session_id ORDER BY c.position)) e
            CROSS JOIN LATERAL (
                SELECT n.id FROM conversations_session s JOIN conversations_message n
                    ON n.tenant_id = s.tenant_id AND n.session_id = s.id AND n.id >= uuid7_floor(s.earliest_at)
                    AND n.id < uuid7_floor(s.last_message_at + interval '1 millisecond')
                WHERE s.tenant_id = e.tenant_id AND s.id = e.session_id
                  AND n.position IN (e.position + 1, e.position + 2) AND n.hidden_at IS NULL OFFSET 0) x
            WHERE e.second IS DISTINCT FROM e.position + 1 OR e.third IS DISTINCT FROM e.position + 2));
    END IF;
"""

# And so does its chapter of the session, which a deleted message cannot name any more.
_ENQUEUE_CHAPTERS = f"""
    PERFORM enqueue_mirror({Entity.CHAPTERS.value}::smallint, array_agg(c.tenant_id), array_agg(c.session_id),
                           array_agg(nextval('row_version')))
    FROM (SELECT DISTINCT tenant_id, session_id FROM {{changed}} d) c;
"""

# A session counts the intents of its messages that are not hidden. An append counts in its own statement, and what a
# purge deletes stays counted: only annotations and hiding are left to follow.
_RECOUNT_INTENTS = """
    IF (SELECT count(*) FROM {changed} c) > 0 THEN
        UPDATE conversations_session s SET intent_counts = merge_counts(s.intent_counts, d.counts)
        FROM (SELECT tenant_id, session_id, jsonb_object_agg(intent, difference) AS counts
              FROM (SELECT tenant_id, session_id, intent, sum(difference) AS difference
                    FROM {changed} c GROUP BY 1, 2, 3) e GROUP BY 1, 2) d
        WHERE s.tenant_id = d.tenant_id AND s.id = d.session_id;
    END IF;
"""
_INTENTS_CHANGED = """(
    SELECT side.tenant_id, side.session_id, side.intent, side.difference
    FROM new_rows n JOIN old_rows o USING (id) CROSS JOIN LATERAL (VALUES
        (n.tenant_id, n.session_id, CASE WHEN n.hidden_at IS NULL THEN n.intent END, 1),
        (o.tenant_id, o.session_id, CASE WHEN o.hidden_at IS NULL THEN o.intent END, -1)
    ) side (tenant_id, session_id, intent, difference)
    WHERE (n.intent, n.hidden_at) IS DISTINCT FROM (o.intent, o.hidden_at) AND side.intent IS NOT NULL)"""

_ENQUEUE = """
    PERFORM enqueue_mirror({entity}::smallint, array_agg(c.tenant_id), array_agg(c.id), array_agg({version}))
    FROM {changed} c;
"""


def _changed(columns: Sequence[str], counted: Sequence[str] = ()) -> pgtrigger.Condition:
    differ = [f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in columns]
    differ += [
        f"OLD.{c} IS DISTINCT FROM NEW.{c} AND jsonb_names(OLD.{c}) IS DISTINCT FROM jsonb_names(NEW.{c})"
        for c in counted
    ]
    return pgtrigger.Condition(" OR ".join(differ))


def new_version(name: str, columns: Sequence[str], *, counted: Sequence[str] = ()) -> pgtrigger.Trigger:
    """A new `row_version` when one of the columns that mirrors show has changed; of counts they show the names."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Row,
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=_changed(columns, counted),
        func="NEW.row_version = nextval('row_version'); RETURN NEW;",
    )


def enqueue_inserted(name: str, entity: Entity) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="new_rows"),
        func=_ENQUEUE.format(entity=entity.value, version="c.row_version", changed="new_rows")
        + "RETURN NULL;",
    )


def enqueue_updated(name: str, entity: Entity, *, successors: bool = False) -> pgtrigger.Trigger:
    changed = "(SELECT n.* FROM new_rows n JOIN old_rows o USING (id) WHERE n.row_version <> o.row_version)"
    hidden = "(SELECT n.* FROM new_rows n JOIN old_rows o USING (id) WHERE n.hidden_at IS DISTINCT FROM o.hidden_at)"
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        referencing=pgtrigger.Referencing(new="new_rows", old="old_rows"),
        func=_ENQUEUE.format(entity=entity.value, version="c.row_version", changed=changed)
        + ((_BUMP_SUCCESSORS + _ENQUEUE_CHAPTERS).format(changed=hidden) if successors else "")
        + "RETURN NULL;",
    )


def recount_intents(name: str) -> pgtrigger.Trigger:
    """Sessions follow when intents of their messages change, and when messages are hidden."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        referencing=pgtrigger.Referencing(new="new_rows", old="old_rows"),
        func=_RECOUNT_INTENTS.format(changed=_INTENTS_CHANGED) + "RETURN NULL;",
    )


def enqueue_row_updated(name: str, entity: Entity) -> pgtrigger.Trigger:
    """Row by row, for a table whose counters change with every append: the condition costs nothing when it fails."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Row,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.row_version <> NEW.row_version"),
        func=f"PERFORM enqueue_mirror({entity.value}::smallint, ARRAY[NEW.tenant_id], ARRAY[NEW.id], "
        "ARRAY[NEW.row_version]); RETURN NULL;",
    )


def enqueue_deleted(name: str, entity: Entity, *, successors: bool = False) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Delete,
        referencing=pgtrigger.Referencing(old="old_rows"),
        func=_ENQUEUE.format(entity=entity.value, version="nextval('row_version')", changed="old_rows")
        + ((_BUMP_SUCCESSORS + _ENQUEUE_CHAPTERS).format(changed="old_rows") if successors else "")
        + "RETURN NULL;",
    )


def append_only(name: str) -> list[pgtrigger.Trigger]:
    """Refuse every update and delete, even by the owner of the table; whole partitions are dropped by DDL."""
    refuse = (
        "RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';"
    )
    return [
        pgtrigger.Trigger(
            name=f"{name}_no_change",
            level=pgtrigger.Row,
            when=pgtrigger.Before,
            operation=pgtrigger.Update | pgtrigger.Delete,
            func=refuse,
        ),
        pgtrigger.Trigger(
            name=f"{name}_no_truncate",
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            operation=pgtrigger.Truncate,
            func=refuse,
        ),
    ]
