"""All rows of a source in bounded pages, in the order of their ids: rows inserted meanwhile are newer."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db import connections

from conversations.enums import Entity
from conversations.indexing.batches import Due
from conversations.indexing.sources import Source

PAGE = 1_000
BEFORE_ALL = UUID(int=0)

_ROWS = """
    SELECT id, tenant_id, row_version FROM {table} WHERE {condition} AND id > %s ORDER BY id LIMIT %s
"""
_SESSIONS = """
    SELECT id, tenant_id, last_position FROM conversations_session WHERE id > %s ORDER BY id LIMIT %s
"""
_ESTIMATE = """
    SELECT coalesce(sum(greatest(leaf.reltuples, 0)), 0)::bigint
    FROM pg_class root
    LEFT JOIN LATERAL pg_partition_tree(root.oid) tree ON tree.isleaf
    JOIN pg_class leaf ON leaf.oid = coalesce(tree.relid, root.oid)
    WHERE root.oid = %s::regclass
"""


def pages(source: Source) -> Iterator[list[Due]]:
    """The source's rows that are to be mirrored."""
    query = _ROWS.format(table=source.table, condition=source.condition)
    after = BEFORE_ALL
    while rows := _rows(query, after, PAGE):
        yield [Due(source.entity, row_id, tenant_id, version) for row_id, tenant_id, version in rows]
        after = rows[-1][0]


def pages_of_chapters() -> Iterator[list[Due]]:
    """Sessions whose chapters are to be mirrored, as many at a time as have about a page of messages."""
    after = BEFORE_ALL
    page: list[Due] = []
    messages = 0
    while rows := _rows(_SESSIONS, after, PAGE):
        for session_id, tenant_id, last_position in rows:
            page.append(Due(Entity.CHAPTERS, session_id, tenant_id, 0))
            messages += last_position
            if messages >= PAGE:
                yield page
                page, messages = [], 0
        after = rows[-1][0]
    if page:
        yield page


def about_how_many(source: Source) -> int:
    """Rows of the table as the last ANALYZE found them: what progress is measured against."""
    ((count,),) = _rows(_ESTIMATE, source.table)
    return int(count)


def _rows(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections["ops"].cursor() as cursor:
        cursor.execute(query, list(values))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
