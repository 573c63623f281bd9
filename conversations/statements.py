"""Statements on hot paths: prepared on the server.

Django's cursor interpolates parameters in Python, so PostgreSQL plans every statement again, which over many partitions
costs more than the statement itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import NOT_PROVIDED, Model
from psycopg import generators
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


@contextmanager
def overlapping(meanwhile: Callable[[], None]) -> Iterator[None]:
    """Statements inside are only sent, and PostgreSQL works on them while `meanwhile` runs. They fail at the end."""
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield
        # A pipeline does not wait until the socket has taken everything.
        connection.connection.wait(generators.send(connection.connection.pgconn))
        meanwhile()


def fetch_all(query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of a query, answered in binary."""
    with connections[DEFAULT_DB_ALIAS].wrap_database_errors:
        return execute(query, values, binary=True).fetchall()


def insert_rows(rows: Sequence[Model], *, on_conflict: str = "") -> None:
    """Like `bulk_create`, in one JSON text: Django writes values out more slowly than PostgreSQL stores them."""
    if not rows:
        return
    meta = rows[0]._meta
    fields = [
        field for field in meta.concrete_fields if not field.generated and field.db_default is NOT_PROVIDED
    ]
    names = ", ".join(str(field.column) for field in fields)
    statement = f"""
        INSERT INTO {meta.db_table} ({names})
        SELECT {names} FROM json_populate_recordset(NULL::{meta.db_table}, %(rows)s::json) {on_conflict}
    """
    values = [{field.column: _in_json(field.pre_save(row, add=True)) for field in fields} for row in rows]
    execute(statement, {"rows": msgspec.json.encode(values).decode()})


def _in_json(value: Any) -> Any:
    """Bytes as PostgreSQL reads them; every other type goes as it is."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [_in_json(one) for one in value]
    return value
