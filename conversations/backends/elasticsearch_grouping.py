"""Counting sessions in Elasticsearch, by aggregations that are built from typed values only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.dsl import A
from elasticsearch.dsl.aggs import Agg
from elasticsearch.dsl.query import Bool, Range

from conversations.backends.elasticsearch import SEARCH_SECONDS, ElasticsearchStore
from conversations.backends.elasticsearch_queries import tenant_term
from conversations.backends.grouping import (
    MOST_GROUPS,
    Group,
    GroupBy,
    Grouping,
    Groups,
    most_common,
    rounded,
)
from conversations.backends.values import Kind, floor_ms

_FIELDS: Mapping[GroupBy, str] = {
    GroupBy.DAY: "created_at",
    GroupBy.INTENT: "intents",
    GroupBy.ENTITY: "entities",
    GroupBy.TOOL: "tools",
}


class ElasticsearchGrouping:
    """`SessionCounter` on the index of sessions. A tenant lies in one shard, so the counts are exact."""

    name = "elasticsearch"

    def __init__(self, store: ElasticsearchStore) -> None:
        self._store = store

    def group(self, grouping: Grouping) -> Groups:
        """At most a second; StoreUnavailable otherwise. What the mirror has acknowledged is counted."""
        index = f"{self._store.prefix}-{Kind.SESSIONS}"

        def refreshed(client: Elasticsearch) -> Any:
            client.indices.refresh(index=index)
            tenant = str(grouping.tenant_id)
            return client.search(index=index, routing=tenant, preference=tenant, **_body(grouping))

        answer = self._store.connection.ask(SEARCH_SECONDS, refreshed)
        with self._store.connection.reading():
            keyed = answer["aggregations"]["keyed"]
            groups = (_group(grouping.by, bucket) for bucket in keyed["groups"]["buckets"])
            return most_common(groups, int(keyed["doc_count"]))


def _body(grouping: Grouping) -> dict[str, Any]:
    conditions = [tenant_term(grouping.tenant_id)]
    for operator, at in (("gte", grouping.start), ("lt", grouping.end)):
        if at is not None:
            conditions.append(Range(created_at={operator: floor_ms(at)}))
    keyed = A("filter", exists={"field": _field(grouping.by)})
    groups = keyed.bucket("groups", _groups(grouping))
    groups.metric("seconds", A("avg", field="resolution_seconds"))
    groups.metric("success", A("avg", field="success"))
    return {"size": 0, "query": Bool(filter=conditions).to_dict(), "aggs": {"keyed": keyed.to_dict()}}


def _groups(grouping: Grouping) -> Agg[Any]:
    field = _field(grouping.by)
    if grouping.by is GroupBy.DAY:
        return A("date_histogram", field=field, calendar_interval=str(grouping.interval), min_doc_count=1)
    return A("terms", field=field, size=MOST_GROUPS, order=[{"_count": "desc"}, {"_key": "asc"}])


def _field(by: GroupBy) -> str:
    return _FIELDS.get(by, str(by))


def _group(by: GroupBy, bucket: Mapping[str, Any]) -> Group:
    return Group(
        _key(by, bucket),
        int(bucket["doc_count"]),
        rounded(bucket["seconds"]["value"]),
        rounded(bucket["success"]["value"]),
    )


def _key(by: GroupBy, bucket: Mapping[str, Any]) -> str | bool:
    match by:
        case GroupBy.DAY:
            return dt.datetime.fromtimestamp(bucket["key"] / 1000, dt.UTC).date().isoformat()
        case GroupBy.SUCCESS:
            return bool(bucket["key"])
        case _:
            return str(bucket["key"])
