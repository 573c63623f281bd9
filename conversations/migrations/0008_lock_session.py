"""The first statement of an append: one exchange instead of two, on the hottest path there is."""

from django.db import migrations

from conversations.schema import role

APP = role("app")

LOCK_SESSION = f"""
-- Announces the tenant to row-level security, then locks the session and says how it stands. SECURITY INVOKER:
-- it sees what the tenant's own statements would. plpgsql keeps the plan, made after the announcement.
CREATE FUNCTION lock_session(tenant uuid, session uuid)
    RETURNS TABLE (last_position integer, customer_id uuid, epoch integer, customer varchar) LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.tenant', tenant::text, true);
        RETURN QUERY
            SELECT s.last_position, s.customer_id, s.epoch, c.external_id
            FROM conversations_session s
            LEFT JOIN conversations_customer c ON c.tenant_id = s.tenant_id AND c.id = s.customer_id
            WHERE s.tenant_id = tenant AND s.id = session AND s.hidden_at IS NULL FOR UPDATE OF s;
    END $$;
REVOKE ALL ON FUNCTION lock_session(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_session(uuid, uuid) TO {APP};
"""


class Migration(migrations.Migration):
    dependencies = [("conversations", "0007_imports")]

    operations = [migrations.RunSQL(LOCK_SESSION, "DROP FUNCTION lock_session(uuid, uuid)")]
