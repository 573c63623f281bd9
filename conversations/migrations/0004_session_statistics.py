"""What statistics say of sessions is kept on them, so that it is read at once and outlives their messages."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

FUNCTIONS = """
-- The sum of two objects of counts; what is counted no more is left out.
CREATE FUNCTION merge_counts(counts jsonb, more jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(name, n), '{}') FROM (
        SELECT name, sum(n::int) AS n
        FROM (SELECT * FROM jsonb_each_text(counts) UNION ALL SELECT * FROM jsonb_each_text(more)) u (name, n)
        GROUP BY name HAVING sum(n::int) > 0) summed $$;

-- What an object counts. Not in SQL: for the condition of a trigger its body would be parsed anew with every statement.
CREATE FUNCTION jsonb_names(counts jsonb) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$ BEGIN RETURN array(SELECT jsonb_object_keys(counts)); END $$;
"""
DROP_FUNCTIONS = "DROP FUNCTION merge_counts(jsonb, jsonb), jsonb_names(jsonb)"

COUNT = """
UPDATE conversations_session s SET intent_counts = c.counts
FROM (SELECT tenant_id, session_id, jsonb_object_agg(intent, n) AS counts
      FROM (SELECT tenant_id, session_id, intent, count(*) AS n FROM conversations_message
            WHERE intent IS NOT NULL AND hidden_at IS NULL GROUP BY 1, 2, 3) m GROUP BY 1, 2) c
WHERE s.tenant_id = c.tenant_id AND s.id = c.session_id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0003_staff_groups'),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        pgtrigger.migrations.RemoveTrigger(
            model_name='session',
            name='session_version',
        ),
        migrations.RemoveIndex(
            model_name='session',
            name='session_last_message',
        ),
        migrations.AddField(
            model_name='session',
            name='document',
            field=django.contrib.postgres.search.SearchVectorField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='session',
            name='intent_counts',
            field=models.JSONField(db_default={}, default=dict, editable=False),
        ),
        migrations.AddIndex(
            model_name='session',
            index=models.Index(models.F('tenant'), models.OrderBy(models.F('last_message_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), name='session_last_message'),
        ),
        migrations.AddIndex(
            model_name='session',
            index=django.contrib.postgres.indexes.GinIndex(condition=models.Q(('document__isnull', False)), fields=['document'], name='session_document'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='message',
            trigger=pgtrigger.compiler.Trigger(name='message_intents', sql=pgtrigger.compiler.UpsertTriggerSql(func='\n    IF EXISTS (SELECT FROM (\n    SELECT side.tenant_id, side.session_id, side.intent, side.difference\n    FROM new_rows n JOIN old_rows o USING (id) CROSS JOIN LATERAL (VALUES\n        (n.tenant_id, n.session_id, CASE WHEN n.hidden_at IS NULL THEN n.intent END, 1),\n        (o.tenant_id, o.session_id, CASE WHEN o.hidden_at IS NULL THEN o.intent END, -1)\n    ) side (tenant_id, session_id, intent, difference)\n    WHERE (n.intent, n.hidden_at) IS DISTINCT FROM (o.intent, o.hidden_at) AND side.intent IS NOT NULL) c) THEN\n        UPDATE conversations_session s SET intent_counts = merge_counts(s.intent_counts, d.counts)\n        FROM (SELECT tenant_id, session_id, jsonb_object_agg(intent, difference) AS counts\n              FROM (SELECT tenant_id, session_id, intent, sum(difference) AS difference\n                    FROM (\n    SELECT side.tenant_id, side.session_id, side.intent, side.difference\n    FROM new_rows n JOIN old_rows o USING (id) CROSS JOIN LATERAL (VALUES\n        (n.tenant_id, n.session_id, CASE WHEN n.hidden_at IS NULL THEN n.intent END, 1),\n        (o.tenant_id, o.session_id, CASE WHEN o.hidden_at IS NULL THEN o.intent END, -1)\n    ) side (tenant_id, session_id, intent, difference)\n    WHERE (n.intent, n.hidden_at) IS DISTINCT FROM (o.intent, o.hidden_at) AND side.intent IS NOT NULL) c GROUP BY 1, 2, 3) e GROUP BY 1, 2) d\n        WHERE s.tenant_id = d.tenant_id AND s.id = d.session_id;\n    END IF;\nRETURN NULL;', hash='bf32c6552b6c12c013daf1fa41b6861427311bd2', level='STATEMENT', operation='UPDATE', pgid='pgtrigger_message_intents_53c97', referencing='REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ', table='conversations_message', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='session',
            trigger=pgtrigger.compiler.Trigger(name='session_version', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.customer_id IS DISTINCT FROM NEW.customer_id OR OLD.channel IS DISTINCT FROM NEW.channel OR OLD.language IS DISTINCT FROM NEW.language OR OLD.outlet_id IS DISTINCT FROM NEW.outlet_id OR OLD.title IS DISTINCT FROM NEW.title OR OLD.status IS DISTINCT FROM NEW.status OR OLD.outcome IS DISTINCT FROM NEW.outcome OR OLD.intents IS DISTINCT FROM NEW.intents OR OLD.hidden_at IS DISTINCT FROM NEW.hidden_at OR OLD.intent_counts IS DISTINCT FROM NEW.intent_counts AND jsonb_names(OLD.intent_counts) IS DISTINCT FROM jsonb_names(NEW.intent_counts))', func="NEW.row_version = nextval('row_version'); RETURN NEW;", hash='6a26827b555a52587ca18ddd5737387fb8e83815', operation='UPDATE', pgid='pgtrigger_session_version_37f8b', table='conversations_session', when='BEFORE')),
        ),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
    ]
