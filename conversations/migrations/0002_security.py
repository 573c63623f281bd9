"""Row-level security, grants and the functions that cross it, each for one narrow purpose."""

from django.db import migrations

from conversations.schema import MatchIdAndTime, SecureTenantTable, role

APP, OPS, OWNER = role("app"), role("ops"), role("owner")

FUNCTIONS = f"""
-- The milliseconds a UUIDv7 was made at, since 1970 (RFC 9562).
CREATE FUNCTION uuid7_millis(id uuid) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT ('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint $$;

-- The lowest UUIDv7 of a moment: bounds of time become bounds of ids.
CREATE FUNCTION uuid7_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- Writes the outbox for whoever changed a row: `app` has no right to the table itself.
CREATE FUNCTION enqueue_mirror(entity smallint, tenants uuid[], ids uuid[], versions bigint[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO conversations_mirrorevent (tenant_id, sink, entity, entity_id, entity_version, reason)
    SELECT u.tenant_id, s.id, entity, u.id, u.version,
           coalesce(nullif(current_setting('app.reason', true), '')::smallint, 1)
    FROM unnest(tenants, ids, versions) AS u (tenant_id, id, version)
    CROSS JOIN conversations_mirrorsink s
    WHERE s.enabled AND entity = ANY (s.entities) $$;
REVOKE ALL ON FUNCTION enqueue_mirror(smallint, uuid[], uuid[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enqueue_mirror(smallint, uuid[], uuid[], bigint[]) TO {APP}, {OPS};

-- Which of these rows a store has yet to follow.
CREATE FUNCTION mirror_pending(ids uuid[]) RETURNS TABLE (entity_id uuid, sink smallint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT e.entity_id, e.sink FROM conversations_mirrorevent e
    WHERE e.tenant_id = nullif(current_setting('app.tenant', true), '')::uuid AND e.entity_id = ANY (ids) $$;
REVOKE ALL ON FUNCTION mirror_pending(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mirror_pending(uuid[]) TO {APP};

-- A key is looked up before its tenant is known.
CREATE FUNCTION api_key_lookup(wanted text) RETURNS SETOF conversations_apikey
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT * FROM conversations_apikey WHERE lookup = wanted $$;
REVOKE ALL ON FUNCTION api_key_lookup(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api_key_lookup(text) TO {APP};

-- So is a person at the login page.
CREATE FUNCTION staff_by_username(wanted text) RETURNS SETOF conversations_staff
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT * FROM conversations_staff WHERE username = wanted $$;
CREATE FUNCTION staff_by_id(wanted uuid) RETURNS SETOF conversations_staff
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT * FROM conversations_staff WHERE id = wanted $$;
REVOKE ALL ON FUNCTION staff_by_username(text), staff_by_id(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION staff_by_username(text), staff_by_id(uuid) TO {APP};
"""

MINE = "nullif((SELECT current_setting('app.tenant', true)), '')::uuid"
ME = "nullif((SELECT current_setting('app.staff', true)), '')::uuid"

TENANTS_AND_STAFF = f"""
ALTER TABLE conversations_tenant ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON conversations_tenant TO {APP} USING (id = {MINE}) WITH CHECK (id = {MINE});
CREATE POLICY all_tenants ON conversations_tenant TO {OPS}, {OWNER} USING (true) WITH CHECK (true);
GRANT SELECT ON conversations_tenant TO {APP};
GRANT SELECT, INSERT, UPDATE, DELETE ON conversations_tenant TO {OPS};

-- A person sees the people of the tenant at hand, and always themselves.
ALTER TABLE conversations_staff ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON conversations_staff TO {APP} USING (tenant_id = {MINE} OR id = {ME})
    WITH CHECK (tenant_id = {MINE} OR id = {ME});
CREATE POLICY all_tenants ON conversations_staff TO {OPS}, {OWNER} USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON conversations_staff TO {APP}, {OPS};
ALTER TABLE conversations_staff ADD CONSTRAINT conversations_staff_tenant_key UNIQUE (tenant_id, id);

-- The outbox has no policy and no grant to `app`.
GRANT SELECT, INSERT, UPDATE, DELETE ON conversations_mirrorevent TO {OPS};
GRANT SELECT, UPDATE ON conversations_mirrorsink TO {OPS};
GRANT SELECT ON conversations_mirrorsink TO {APP};
GRANT USAGE ON SEQUENCE row_version TO {APP}, {OPS};
GRANT USAGE ON SEQUENCE conversations_mirrorevent_id_seq TO {OPS};
"""

SINKS = """
INSERT INTO conversations_mirrorsink (id, entities, enabled, enabled_at, schema)
VALUES (1, '{1,4,5}', true, now(), ''), (2, '{1,2,3,4,5,16}', false, NULL, ''), (3, '{1,3,4}', false, NULL, '')
"""

CUSTOMER = {"customer_id": "conversations_customer"}
SESSION = {"session_id": "conversations_session"}


class Migration(migrations.Migration):
    dependencies = [("conversations", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(TENANTS_AND_STAFF, migrations.RunSQL.noop),
        migrations.RunSQL(SINKS, migrations.RunSQL.noop),
        SecureTenantTable("conversations_apikey"),
        SecureTenantTable("conversations_datakey"),
        SecureTenantTable("conversations_customer"),
        SecureTenantTable("conversations_session", references=CUSTOMER),
        SecureTenantTable("conversations_message", references=SESSION),
        SecureTenantTable("conversations_messageindex", key="message_id", app="SELECT"),
        SecureTenantTable("conversations_chapterindex", app="SELECT"),
        SecureTenantTable("conversations_memory", references=CUSTOMER),
        SecureTenantTable("conversations_contextreceipt", references=SESSION),
        SecureTenantTable("conversations_idempotencyrecord"),
        SecureTenantTable("conversations_tombstone"),
        SecureTenantTable("conversations_auditevent", app="SELECT, INSERT", ops="SELECT, INSERT"),
        SecureTenantTable("conversations_auditleaf", app="SELECT", ops="SELECT, INSERT"),
        MatchIdAndTime("conversations_message"),
    ]
