"""An append as one statement: announced, counted and stored in a single exchange, which commits by itself."""

from django.db import migrations

from conversations.schema import role

APP = role("app")

COLUMNS = {
    "id": "uuid",
    "created_at": "timestamptz",
    "role": "text",
    "external_id": "text",
    "name": "text",
    "sealed": "bytea",
    "scrubbed": "text",
    "scrubbed_attachments": "text",
    "pii": "jsonb",
    "identifiers": "bytea[]",
    "language": "text",
    "intent": "text",
    "intent_confidence": "float8",
    "turn_id": "text",
    "model": "text",
    "usage": "jsonb",
    "agent_responses": "jsonb",
    "metadata": "jsonb",
    "occurred_at": "timestamptz",
}
SESSION = {
    "tenant": "uuid",
    "session": "uuid",
    "customer": "uuid",
    "unless_after": "timestamptz",
    "newest": "timestamptz",
    "oldest": "timestamptz",
    "intents": "jsonb",
}
# An array of arrays of different lengths is no PostgreSQL array: in a batch, identifiers travel as array literals.
ARRAYS = {name: "text[]" if kind == "bytea[]" else f"{kind}[]" for name, kind in COLUMNS.items()}


def _function(name: str, arguments: dict[str, str], count: str, position: str, values: str, source: str) -> str:
    declared = [f"of_{argument} {kind}" for argument, kind in {**SESSION, **arguments}.items()]
    kinds = ", ".join([*SESSION.values(), *arguments.values()])
    return f"""
-- Announces the tenant to row-level security, bumps the session and stores the messages at its end. No row is returned,
-- and nothing stored, when the session is not there, belongs to another customer than the one whose key has sealed the
-- messages, or was spoken in since `unless_after`. The update is the lock: who waited for it judges the row anew.
CREATE FUNCTION {name}({", ".join(declared)})
    RETURNS TABLE (before integer, epoch integer, customer varchar) LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.tenant', of_tenant::text, true);
        UPDATE conversations_session s
        SET last_position = s.last_position + {count}, message_count = s.message_count + {count},
            last_message_at = GREATEST(s.last_message_at, of_newest), earliest_at = LEAST(s.earliest_at, of_oldest),
            intent_counts = CASE WHEN of_intents IS NULL THEN s.intent_counts
                                 ELSE merge_counts(s.intent_counts, of_intents) END,
            status = 'open', closed_at = NULL, updated_at = now()
        WHERE s.tenant_id = of_tenant AND s.id = of_session AND s.hidden_at IS NULL
          AND s.customer_id IS NOT DISTINCT FROM of_customer
          AND (of_unless_after IS NULL OR s.last_message_at IS NULL OR s.last_message_at < of_unless_after)
        RETURNING s.last_position - {count}, s.epoch, (
            SELECT c.external_id FROM conversations_customer c
            WHERE c.tenant_id = of_tenant AND c.id = of_customer)
        INTO before, epoch, customer;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        INSERT INTO conversations_message (tenant_id, session_id, customer_id, position, {", ".join(COLUMNS)})
        SELECT of_tenant, of_session, of_customer, before + {position}, {values}{source};
        RETURN NEXT;
    END $$;
REVOKE ALL ON FUNCTION {name}({kinds}) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {name}({kinds}) TO {APP};
"""


# One row as plain values costs half of what it costs as nineteen arrays of one.
APPEND_ONE = _function(
    "append_message",
    COLUMNS,
    count="1",
    position="1",
    values=", ".join(f"of_{name}" for name in COLUMNS),
    source="",
)
APPEND_MANY = _function(
    "append_messages",
    ARRAYS,
    count="cardinality(of_id)",
    position="u.number",
    values=", ".join("u.identifiers::bytea[]" if name == "identifiers" else f"u.{name}" for name in COLUMNS),
    source=f"""
        FROM unnest({", ".join(f"of_{name}" for name in COLUMNS)})
            WITH ORDINALITY AS u ({", ".join(COLUMNS)}, number)""",
)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0008_lock_session")]

    operations = [
        migrations.RunSQL(APPEND_ONE, "DROP FUNCTION append_message"),
        migrations.RunSQL(APPEND_MANY, "DROP FUNCTION append_messages"),
    ]
