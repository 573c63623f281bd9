"""The three database roles: `owner` migrates, `app` serves requests, `ops` works in the background."""

from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from psycopg import sql

ROLES = ("owner", "app", "ops")
# Apps whose tables belong to no tenant: people's logins, groups, sessions and Django's own bookkeeping.
GLOBAL_APPS = ("admin", "auth", "contenttypes", "sessions", "account", "mfa", "socialaccount")
GLOBAL_TABLES = ("conversations_staff_groups", "conversations_staff_user_permissions", "django_migrations")


def ensure_roles(connection: Any) -> None:
    """Make the roles that are missing and let the login assume them. Idempotent.

    Runs before `assume_role` can succeed, hence on a connection of its own.
    """
    parameters = {k: v for k, v in connection.get_connection_params().items() if k in _LIBPQ}
    with psycopg.connect(**parameters, autocommit=True) as plain:
        login = sql.Identifier(plain.info.user)
        # Two processes may start at once, and CREATE ROLE knows no IF NOT EXISTS.
        plain.execute("SELECT pg_advisory_lock(hashtext('remembrancer roles'))")
        for name in ROLES:
            full_name = f"{settings.DATABASE_ROLE_PREFIX}_{name}"
            role = sql.Identifier(full_name)
            if plain.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [full_name]).fetchone() is None:
                plain.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
            if not plain.execute("SELECT pg_has_role(%s, 'SET')", [full_name]).fetchone()[0]:  # type: ignore[index]
                plain.execute(sql.SQL("GRANT {} TO {} WITH SET TRUE").format(role, login))
        owner = sql.Identifier(f"{settings.DATABASE_ROLE_PREFIX}_owner")
        plain.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(owner))
        for name in ("app", "ops"):
            role = sql.Identifier(f"{settings.DATABASE_ROLE_PREFIX}_{name}")
            plain.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))


def grant_global_tables(connection: Any) -> None:
    """Let `app` and `ops` use the tables that belong to no tenant. Named ones only: there are no default privileges."""
    tables = [
        m._meta.db_table
        for m in apps.get_models(include_auto_created=True)
        if m._meta.app_label in GLOBAL_APPS
    ]
    roles = sql.SQL(", ").join(
        sql.Identifier(f"{settings.DATABASE_ROLE_PREFIX}_{name}") for name in ("app", "ops")
    )
    with connection.cursor() as cursor:
        existing = set(connection.introspection.table_names(cursor))
        for table in [*tables, *GLOBAL_TABLES]:
            if table in existing:
                statement = "GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}"
                cursor.execute(sql.SQL(statement).format(sql.Identifier(table), roles))
        cursor.execute(sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(roles))


_LIBPQ = ("host", "port", "user", "password", "dbname", "service", "passfile", "sslmode", "connect_timeout")
