"""Statements that move many rows."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import psycopg

from conversations.statements import execute

# Rows in binary: ten thousand hashes travel as they are.
execute_in_bulk = partial(execute, binary=True, prepare=None)


def execute_as_ops(query: str, values: Mapping[str, Any] | None = None) -> "psycopg.Cursor[Any]":
    """On the connection of `ops`."""
    return execute_in_bulk(query, values or {}, "ops")
