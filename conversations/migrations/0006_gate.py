"""The gate: while a restore is under way, nobody's key and nobody's name is found, whatever process asks."""

from django.db import migrations, models

from conversations.schema import role

APP, OPS = role("app"), role("ops")

GATE = f"""
INSERT INTO conversations_gate (id, state) VALUES (1, 'open');
ALTER TABLE conversations_gate ADD CONSTRAINT conversations_gate_one_row CHECK (id = 1);
GRANT SELECT ON conversations_gate TO {APP}, {OPS};

-- True, or an error that clients are told as 503.
CREATE FUNCTION gate_is_open() RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ BEGIN
        IF EXISTS (SELECT FROM conversations_gate WHERE state <> 'open') THEN
            RAISE EXCEPTION 'a restore is under way' USING ERRCODE = 'cannot_connect_now';
        END IF;
        RETURN true;
    END $$;
REVOKE ALL ON FUNCTION gate_is_open() FROM PUBLIC;

-- With their rights and owners as they were (0002).
CREATE OR REPLACE FUNCTION api_key_lookup(wanted text) RETURNS SETOF conversations_apikey
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT * FROM conversations_apikey WHERE gate_is_open() AND lookup = wanted $$;
CREATE OR REPLACE FUNCTION staff_by_username(wanted text) RETURNS SETOF conversations_staff
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT * FROM conversations_staff WHERE gate_is_open() AND username = wanted $$;
CREATE OR REPLACE FUNCTION staff_by_id(wanted uuid) RETURNS SETOF conversations_staff
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT * FROM conversations_staff WHERE gate_is_open() AND id = wanted $$;
"""


class Migration(migrations.Migration):
    dependencies = [("conversations", "0005_successors")]

    operations = [
        migrations.CreateModel(
            name="Gate",
            fields=[
                ("id", models.SmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("loading", "Loading"), ("replaying", "Replaying")],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("since", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RunSQL(GATE, migrations.RunSQL.noop),
    ]
