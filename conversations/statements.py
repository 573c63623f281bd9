"""Statements on hot paths: prepared on the server, answered in binary.

Django's cursor binds parameters in Python and has every statement planned anew, which over many partitions costs more
than the statement itself.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.rows import tuple_row


def fetch_all(query: str, values: Mapping[str, Any], using: str = DEFAULT_DB_ALIAS) -> list[tuple[Any, ...]]:
    """All rows of a query, on the connection and in the transaction of the open scope."""
    connection = connections[using]
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection, row_factory=tuple_row)
        return cursor.execute(query, values, prepare=True, binary=True).fetchall()
