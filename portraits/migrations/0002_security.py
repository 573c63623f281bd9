"""Row-level security, and how names are counted in SQL."""

from django.db import migrations

from conversations.schema import SecureTenantTable, role

APP, OPS = role("app"), role("ops")

FUNCTIONS = """
-- How often each name occurs, times `weight`.
CREATE FUNCTION portraits_count_names(names text[], weight integer) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT coalesce(jsonb_object_agg(c.name, c.number), '{}')
          FROM (SELECT name, count(*) * weight AS number FROM unnest(names) name GROUP BY name) c $$;

-- Two such objects as one; names that sum up to nothing are left out.
CREATE FUNCTION portraits_add_counts(a jsonb, b jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT CASE WHEN b = '{}' THEN a WHEN a = '{}' THEN b ELSE (
            SELECT coalesce(jsonb_object_agg(c.key, c.number), '{}')
            FROM (SELECT e.key, sum(e.value::bigint) AS number
                  FROM (SELECT * FROM jsonb_each_text(a) UNION ALL SELECT * FROM jsonb_each_text(b)) e
                  GROUP BY e.key HAVING sum(e.value::bigint) <> 0) c) END $$;
-- What has to be added to take these away.
CREATE FUNCTION portraits_negated(counts jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT coalesce(jsonb_object_agg(e.key, -e.value::bigint), '{}') FROM jsonb_each_text(counts) e $$;
CREATE AGGREGATE portraits_sum_counts(jsonb) (SFUNC = portraits_add_counts, STYPE = jsonb, INITCOND = '{}', PARALLEL = SAFE);
"""

# Totals with the open deltas on top. A span that may have shrunk is taken from the record anew.
CURRENT = f"""
CREATE VIEW portraits_currentsummary WITH (security_invoker = true) AS
SELECT g.tenant_id, g.customer_id, g.session_count::integer, g.message_count::integer,
       g.intents, g.languages, g.channels, g.outlets,
       CASE WHEN g.shrinks THEN least(g.rest_first_at, (
           SELECT m.created_at FROM conversations_message m
           WHERE m.tenant_id = g.tenant_id AND m.customer_id = g.customer_id AND m.hidden_at IS NULL
           ORDER BY m.id LIMIT 1)) ELSE g.first_at END AS first_interaction_at,
       CASE WHEN g.shrinks THEN greatest(g.rest_last_at, (
           SELECT m.created_at FROM conversations_message m
           WHERE m.tenant_id = g.tenant_id AND m.customer_id = g.customer_id AND m.hidden_at IS NULL
           ORDER BY m.id DESC LIMIT 1)) ELSE g.last_at END AS last_interaction_at
FROM (
    SELECT p.tenant_id, p.customer_id, sum(p.sessions) AS session_count, sum(p.messages) AS message_count,
           portraits_sum_counts(p.intents) AS intents, portraits_sum_counts(p.languages) AS languages,
           portraits_sum_counts(p.channels) AS channels, portraits_sum_counts(p.outlets) AS outlets,
           min(p.first_at) AS first_at, max(p.last_at) AS last_at,
           min(p.rest_first_at) AS rest_first_at, max(p.rest_last_at) AS rest_last_at, bool_or(p.shrinks) AS shrinks
    FROM (
        SELECT s.tenant_id, s.customer_id, s.session_count AS sessions, s.message_count AS messages,
               s.intents, s.languages, s.channels, s.outlets,
               s.first_interaction_at AS first_at, s.last_interaction_at AS last_at,
               least(s.purged_first_at, (s.baseline->>'first_interaction_at')::timestamptz) AS rest_first_at,
               greatest(s.purged_last_at, (s.baseline->>'last_interaction_at')::timestamptz) AS rest_last_at,
               false AS shrinks
        FROM portraits_interactionsummary s
        UNION ALL
        SELECT d.tenant_id, d.customer_id, d.sessions * d.effect, d.messages * d.effect,
               portraits_count_names(d.intents, d.effect), portraits_count_names(d.languages, d.effect),
               portraits_count_names(d.channels, d.effect), portraits_count_names(d.outlets, d.effect),
               d.first_at, d.last_at,
               CASE WHEN d.effect = 0 THEN d.first_at END, CASE WHEN d.effect = 0 THEN d.last_at END,
               d.effect = -1 AND d.messages > 0
        FROM portraits_summarydelta d) p
    GROUP BY p.tenant_id, p.customer_id) g;
GRANT SELECT ON portraits_currentsummary TO {APP}, {OPS};
"""

CUSTOMER = {"customer_id": "conversations_customer"}


class Migration(migrations.Migration):
    dependencies = [("portraits", "0001_initial"), ("conversations", "0002_security")]

    operations = [
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        SecureTenantTable("portraits_portrait", references=CUSTOMER),
        SecureTenantTable("portraits_portraitversion", references=CUSTOMER),
        SecureTenantTable("portraits_trait", references=CUSTOMER),
        SecureTenantTable("portraits_interactionsummary", references=CUSTOMER),
        SecureTenantTable("portraits_summarydelta"),
        SecureTenantTable("portraits_refreshmark"),
        migrations.RunSQL(CURRENT, migrations.RunSQL.noop),
    ]
