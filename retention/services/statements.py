"""Statements on the connection of `ops` that move much at once."""

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connections
from psycopg.rows import tuple_row


def execute_as_ops(query: str, values: Mapping[str, Any] | None = None) -> "psycopg.Cursor[Any]":
    """Past Django's cursor, parameters and rows in binary: ten thousand hashes travel as they are."""
    connection = connections["ops"]
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection, row_factory=tuple_row)
        return cursor.execute(query, values or {}, binary=True)
