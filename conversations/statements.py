"""Statements on hot paths: prepared on the server.

Django's cursor interpolates parameters in Python, so PostgreSQL plans every statement again, which over many partitions
costs more than the statement itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.rows import tuple_row


def execute(
    query: str,
    values: Mapping[str, Any] | Sequence[Any],
    using: str = DEFAULT_DB_ALIAS,
    *,
    binary: bool = False,
    prepare: bool | None = True,
) -> "psycopg.Cursor[tuple[Any, ...]]":
    """Run a statement. It belongs to the open transaction; where there is none, it is one.

    Arrays are best given as `%b`: as text each element is escaped in Python. `binary` asks for rows in binary, and with
    `prepare=None` a statement is prepared only once it has run often enough. Inside a tenant scope prepared statements
    have generic plans; a transaction that needs plans for its values sets `plan_cache_mode`.
    """
    connection = connections[using]
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection, row_factory=tuple_row)
        return cursor.execute(query, values, prepare=prepare, binary=binary)


def fetch_all(query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of a query, answered in binary."""
    with connections[DEFAULT_DB_ALIAS].wrap_database_errors:
        return execute(query, values, binary=True).fetchall()
