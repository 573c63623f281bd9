"""Migration operations that Django lacks: partitions, row-level security, composite keys."""

from typing import Any

from django.conf import settings
from django.db import migrations


def role(name: str) -> str:
    """The quoted database role `owner`, `app` or `ops` of this installation."""
    return '"' + f"{settings.DATABASE_ROLE_PREFIX}_{name}".replace('"', '""') + '"'


class CreatePartitionedModel(migrations.CreateModel):
    """CreateModel for a table partitioned by RANGE of one UUIDv7 column, with its DEFAULT partition."""

    def __init__(self, *args: Any, partition_by: str = "id", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.partition_by = partition_by

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table = to_state.apps.get_model(app_label, self.name)._meta.db_table
        plain = schema_editor.sql_create_table
        schema_editor.sql_create_table = f"{plain} PARTITION BY RANGE ({self.partition_by})"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = plain
        schema_editor.execute(f'CREATE TABLE "{table}_default" PARTITION OF "{table}" DEFAULT')


class SecureTenantTable(migrations.RunSQL):
    """Forced row-level security, the roles' policies and grants, and UNIQUE (tenant_id, key) for one table.

    `references` are `column -> table` pairs that get the composite constraint (tenant_id, column).
    """

    reversible = True

    def __init__(
        self,
        table: str,
        *,
        app: str = "SELECT, INSERT, UPDATE, DELETE",
        ops: str = "SELECT, INSERT, UPDATE, DELETE",
        references: dict[str, str] | None = None,
        key: str = "id",
    ) -> None:
        self.arguments = {"app": app, "ops": ops, "references": references, "key": key}
        self.table = table
        super().__init__(self._sql(table, app, ops, references or {}, key), migrations.RunSQL.noop)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__name__, [self.table], self.arguments

    @staticmethod
    def _sql(table: str, app: str, ops: str, references: dict[str, str], key: str) -> str:
        mine = "(tenant_id = nullif((SELECT current_setting('app.tenant', true)), '')::uuid)"
        statements = [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant ON {table} TO {role('app')} USING {mine} WITH CHECK {mine}",
            f"CREATE POLICY all_tenants ON {table} TO {role('ops')}, {role('owner')} USING (true) WITH CHECK (true)",
            f"GRANT {app} ON {table} TO {role('app')}",
            f"GRANT {ops} ON {table} TO {role('ops')}",
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_tenant_key UNIQUE (tenant_id, {key})",
            *(
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_tenant_fk "
                f"FOREIGN KEY (tenant_id, {column}) REFERENCES {target} (tenant_id, id) "
                "DEFERRABLE INITIALLY IMMEDIATE"
                for column, target in references.items()
            ),
        ]
        return ";\n".join(statements)


class MatchIdAndTime(migrations.RunSQL):
    """A CHECK that the id's milliseconds are those of `created_at`: one reading of one clock made both.

    It spells `uuid7_millis` out: PostgreSQL would parse the body of an SQL function anew for every INSERT.
    """

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_one_clock "
            "CHECK (('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint"
            " = floor(extract(epoch FROM created_at) * 1000))",
            migrations.RunSQL.noop,
        )

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__name__, [self.table], {}
