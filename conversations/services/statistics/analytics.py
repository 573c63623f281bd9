"""Statistics of sessions: from Elasticsearch where it has followed, else from PostgreSQL, with the same answers."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.db import connections

from conversations.backends.configured import search_store
from conversations.backends.elasticsearch_grouping import ElasticsearchGrouping
from conversations.backends.grouping import Group, Grouping, Groups
from conversations.backends.postgres_grouping import PostgresGrouping
from conversations.backends.values import StoreUnavailable
from conversations.enums import Entity, Sink
from conversations.tenancy import tenant_scope

log = structlog.get_logger(__name__)

_BEHIND = """
    SELECT EXISTS (SELECT FROM conversations_mirrorevent WHERE tenant_id = %s AND sink = %s AND entity = %s)
        OR NOT EXISTS (SELECT FROM conversations_mirrorsink WHERE id = %s AND enabled)
"""
_DECIMALS = 4


def group_sessions(grouping: Grouping) -> dict[str, Any]:
    """Sessions counted by a property, most common first. Opens a tenant scope of its own, if it needs one."""
    degraded: list[str] = []
    counted, store = None, search_store()
    if store is not None and _has_followed(grouping):
        try:
            counted = ElasticsearchGrouping(store).group(grouping)
        except StoreUnavailable as error:
            log.info("analytics.store_unavailable", store=error.store, reason=error.reason)
            degraded.append(ElasticsearchGrouping.name)
    name = ElasticsearchGrouping.name
    if counted is None:
        name = PostgresGrouping.name
        with tenant_scope(grouping.tenant_id):
            counted = PostgresGrouping().group(grouping)
    return {
        "object": "list",
        "data": [_shown(group, counted) for group in counted.groups],
        "stores": [name],
        "degraded": degraded,
    }


def _has_followed(grouping: Grouping) -> bool:
    """Whether the mirror has acknowledged every change of the tenant's sessions: else its counts are stale."""
    sink, entity = Sink.ELASTICSEARCH.value, Entity.SESSION.value
    with connections["ops"].cursor() as cursor:
        cursor.execute(_BEHIND, [grouping.tenant_id, sink, entity, sink])
        return not cursor.fetchone()[0]


def _shown(group: Group, counted: Groups) -> Mapping[str, Any]:
    return {
        "key": group.key,
        "count": group.count,
        "share": round(group.count / counted.sessions, _DECIMALS),
        "avg_resolution_seconds": group.mean_resolution_seconds,
        "success_rate": group.success_rate,
    }
