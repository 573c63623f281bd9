"""Elasticsearch: lexical search. It holds scrubbed text and answers with ids."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast
from uuid import UUID

from elasticsearch import Elasticsearch

from conversations.backends import elasticsearch_queries as queries
from conversations.backends.elasticsearch_bulk import (
    Operation,
    batches,
    judge,
    operation,
    worse,
)
from conversations.backends.elasticsearch_connection import ElasticsearchConnection
from conversations.backends.elasticsearch_indexes import IndexFamily, schema_of
from conversations.backends.values import (
    Candidates,
    Change,
    DayDigest,
    IdRange,
    IndexMissing,
    ItemResult,
    Kind,
    LexicalHit,
    MirroredVersion,
    MirrorKey,
    Outcome,
    Removal,
    SearchFilter,
    SessionScore,
    StoreUnavailable,
    day_of,
)

SEARCH_SECONDS = 1.0
BULK_SECONDS = 10.0
# Creating and switching indices waits until the cluster agrees.
UPKEEP_SECONDS = 60.0
PAGE = 2_000


class ElasticsearchStore:
    """`SearchStore` on Elasticsearch 9."""

    name = "elasticsearch"

    def __init__(
        self,
        connection: ElasticsearchConnection,
        *,
        prefix: str,
        index_settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.connection = connection
        self.prefix = prefix
        self._settings = dict(index_settings or {})

    # -- searching ---------------------------------------------------------------------------------------

    def candidates(self, words: str, question: str, where: SearchFilter, limit: int = 200) -> Candidates:
        """Messages whose context matches `words`, session scores for the whole `question`; one round trip."""
        messages, sessions = self._search(
            where.tenant_id,
            (Kind.MESSAGES, queries.candidates_body(words, where, limit)),
            (Kind.CHAPTERS, queries.sessions_body(question, where)),
        )
        return Candidates(
            tuple(LexicalHit(*hit) for hit in messages), tuple(SessionScore(*hit) for hit in sessions)
        )

    def matches(
        self, kind: Kind, words: str, where: SearchFilter, limit: int = 200
    ) -> tuple[LexicalHit, ...]:
        """Best first: ids of `kind` (memories, archive, sessions by their knowledge) matching `words`."""
        (hits,) = self._search(where.tenant_id, (kind, queries.matches_body(kind, words, where, limit)))
        return tuple(LexicalHit(*hit) for hit in hits)

    def _search(
        self, tenant_id: UUID, *searches: tuple[Kind, dict[str, Any]]
    ) -> list[list[tuple[UUID, float]]]:
        lines: list[dict[str, Any]] = []
        for kind, body in searches:
            # One copy of the shard answers a tenant always: two copies may order equal scores differently.
            tenant = str(tenant_id)
            lines += [{"index": f"{self.prefix}-{kind}", "routing": tenant, "preference": tenant}, body]
        answer = self.connection.ask(
            SEARCH_SECONDS,
            lambda client: client.msearch(
                searches=lines,
                filter_path="responses.status,responses.error.type,responses.hits.hits._score,responses.hits.hits.fields",
            ),
        )
        with self.connection.reading():
            return [self._hits(response) for _, response in zip(searches, answer["responses"], strict=True)]

    def _hits(self, response: Mapping[str, Any]) -> list[tuple[UUID, float]]:
        if response["status"] != 200:
            raise StoreUnavailable(self.name, response["error"]["type"])
        # The filter on the answer's fields leaves an empty list of hits out.
        hits = response.get("hits", {"hits": []})["hits"]
        return [(UUID(hit["fields"]["id"][0]), float(hit["_score"])) for hit in hits]

    # -- mirroring ---------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> list[ItemResult]:
        """Send all changes in order, at most 10 s; one judgement each, in the order given."""
        deadline = time.monotonic() + BULK_SECONDS
        targets = self.connection.ask(BULK_SECONDS, lambda client: self._family(client).targets())
        return self._send(changes, lambda kind: targets[kind], deadline)

    def apply_to_rebuild(self, kind: Kind, changes: Sequence[Change]) -> list[ItemResult]:
        """As `apply`, into the new index only."""
        deadline = time.monotonic() + BULK_SECONDS
        return self._send(changes, lambda _: [f"{self.prefix}-{kind}-next"], deadline)

    def _send(
        self, changes: Sequence[Change], targets: Callable[[Kind], list[str]], deadline: float
    ) -> list[ItemResult]:
        operations = [
            operation(place, change, index)
            for place, change in enumerate(changes)
            for index in targets(change.key.kind)
        ]
        judged: dict[int, tuple[Outcome, str]] = {}
        for batch in batches(operations):
            for each, judgement in zip(batch, self._bulk(batch, deadline, first=not judged), strict=True):
                judged[each.place] = worse(judged.get(each.place, judgement), judgement)
        # What has no target has no index. Nothing is sent then: a write would make one, without its mapping.
        missing = (Outcome.RETRY, "index missing")
        return [ItemResult(change.key, *judged.get(place, missing)) for place, change in enumerate(changes)]

    def _bulk(self, batch: list[Operation], deadline: float, *, first: bool) -> list[tuple[Outcome, str]]:
        try:
            answer = self.connection.ask(
                deadline - time.monotonic(),
                lambda client: client.bulk(
                    operations=cast(
                        "list[Mapping[str, Any]]", [line for each in batch for line in each.lines]
                    ),
                    filter_path="items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.type",
                ),
            )
        except StoreUnavailable as error:
            if first:
                raise
            return [(Outcome.UNANSWERED, error.reason)] * len(batch)
        with self.connection.reading():
            return [judge(item) for _, item in zip(batch, answer["items"], strict=True)]

    # -- checking ----------------------------------------------------------------------------------------

    def present(self, keys: Sequence[MirrorKey]) -> set[MirrorKey]:
        """Those of the keys that the store still holds; deletes just made are seen."""
        if not keys:
            return set()
        targets = self.connection.ask(BULK_SECONDS, lambda client: self._family(client).targets())
        asked = [(key, index) for key in keys for index in self._existing(targets, key.kind)]
        documents = [
            {"_index": index, "_id": str(key), "routing": str(key.tenant_id)} for key, index in asked
        ]
        answer = self.connection.ask(BULK_SECONDS, lambda client: client.mget(docs=documents, source=False))
        return {
            key for (key, _), document in zip(asked, answer["docs"], strict=True) if self._found(document)
        }

    def _found(self, document: Mapping[str, Any]) -> bool:
        if "error" in document:
            raise StoreUnavailable(self.name, document["error"]["type"])
        return bool(document["found"])

    def count(self, kind: Kind, tenant_id: UUID | None = None, ids: IdRange | None = None) -> int:
        """How many entries: of one tenant, or of all for operators; deletes just made are seen."""
        query = queries.entries(tenant_id, ids=ids)

        def refreshed(client: Elasticsearch) -> int:
            index = ",".join(self._existing(self._family(client).targets(), kind)[:1])
            client.indices.refresh(index=index)
            return int(client.count(index=index, query=query, routing=_routing(tenant_id))["count"])

        return self.connection.ask(BULK_SECONDS, refreshed)

    def versions(
        self, kind: Kind, tenant_id: UUID, start: dt.datetime | None = None, end: dt.datetime | None = None
    ) -> Iterator[MirroredVersion]:
        """Every entry of the tenant whose time is in [start, end), in no order."""
        return self._scan(
            f"{self.prefix}-{kind}", kind, queries.entries(tenant_id, start=start, end=end), tenant_id
        )

    def held(self, kind: Kind, tenant_id: UUID, ids: Sequence[UUID]) -> Iterator[MirroredVersion]:
        """Every entry of these ids: of a session all chapters, however many there were."""
        return self._scan(f"{self.prefix}-{kind}", kind, queries.entries(tenant_id, among=ids), tenant_id)

    def day_digests(self, kind: Kind, tenant_id: UUID) -> Iterator[DayDigest]:
        """Count and digest for each UTC day on which the tenant has entries."""
        index = f"{self.prefix}-{kind}"
        days = {
            "date_histogram": {
                "field": "created_at",
                "calendar_interval": "day",
                "min_doc_count": 1,
                "missing": queries.TIMELESS,
            }
        }
        digest = {"digest": {"sum": {"field": "fingerprint"}}}

        def refreshed(client: Elasticsearch) -> Any:
            client.indices.refresh(index=index)
            return client.search(
                index=index,
                routing=str(tenant_id),
                size=0,
                query=queries.entries(tenant_id),
                aggs={"days": {**days, "aggs": digest}},
            )

        for bucket in self.connection.ask(BULK_SECONDS, refreshed)["aggregations"]["days"]["buckets"]:
            yield DayDigest(
                tenant_id, day_of(bucket["key"]), bucket["doc_count"], int(bucket["digest"]["value"])
            )

    def remove_range(self, kind: Kind, ids: IdRange, tenant_id: UUID | None = None) -> int:
        """Remove everything in the range, of one tenant or of all; how many went."""
        query = queries.entries(tenant_id, ids=ids)
        targets = self.connection.ask(BULK_SECONDS, lambda client: self._family(client).targets())
        removed = 0
        for index in self._existing(targets, kind):
            # One version above what is stored, so that a late copy of the last write stays out.
            found = [
                Removal(held.key, held.version + 1) for held in self._scan(index, kind, query, tenant_id)
            ]
            for begin in range(0, len(found), PAGE):
                page = found[begin : begin + PAGE]
                results = self._send(page, partial(_only, index), time.monotonic() + BULK_SECONDS)
                if any(result.outcome is not Outcome.DONE for result in results):
                    raise StoreUnavailable(self.name, "a range was removed in part")
                removed += len(page)
        return removed

    def ping(self) -> None:
        """Return when the store is there and has what we need of it; else raise `StoreUnavailable`."""
        if missing := self.connection.ask(SEARCH_SECONDS, lambda client: self._family(client).missing()):
            raise IndexMissing(self.name, f"index missing: {', '.join(missing)}")

    def _scan(
        self, index: str, kind: Kind, query: dict[str, Any], tenant_id: UUID | None
    ) -> Iterator[MirroredVersion]:
        def opened(client: Elasticsearch) -> str:
            client.indices.refresh(index=index)
            pit = client.open_point_in_time(index=index, keep_alive="1m", routing=_routing(tenant_id))
            return str(pit["id"])

        pit = self.connection.ask(BULK_SECONDS, opened)
        after: list[Any] | None = None
        try:
            while hits := self._page(pit, query, after):
                yield from (_held(kind, hit) for hit in hits)
                after = hits[-1]["sort"]
        finally:
            # Left open it ends by itself within a minute.
            with suppress(StoreUnavailable):
                self.connection.ask(BULK_SECONDS, lambda client: client.close_point_in_time(id=pit))

    def _page(self, pit: str, query: dict[str, Any], after: list[Any] | None) -> list[dict[str, Any]]:
        answer = self.connection.ask(
            BULK_SECONDS,
            lambda client: client.search(
                pit={"id": pit, "keep_alive": "1m"},
                size=PAGE,
                query=query,
                source=False,
                version=True,
                sort=[{"_shard_doc": {"order": "asc"}}],
                search_after=after,
                track_total_hits=False,
            ),
        )
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        return hits

    # -- indices -----------------------------------------------------------------------------------------

    @property
    def schema(self) -> str:
        """Changes when the mappings or settings do, and then the indices want a rebuild."""
        return schema_of(self._settings)

    def ensure_indexes(self) -> list[str]:
        """Make what is missing, touch nothing else; names of the indices made."""
        return self.connection.ask(UPKEEP_SECONDS, lambda client: self._family(client).ensure())

    def begin_rebuild(self, kind: Kind) -> str:
        """Make an empty index beside the live one; from now on `apply` writes to both. Its name."""
        return self.connection.ask(UPKEEP_SECONDS, lambda client: self._family(client).begin(kind))

    def finish_rebuild(self, kind: Kind) -> str:
        """Switch the alias to the new index in one step, then drop the old one. The new index's name."""
        new = self.connection.ask(UPKEEP_SECONDS, lambda client: self._family(client).switch(kind))
        # Searches that found the old index behind the alias may still be running there.
        time.sleep(SEARCH_SECONDS)
        self.abandon_rebuild(kind)
        return new

    def abandon_rebuild(self, kind: Kind) -> None:
        """Drop a half-built index; without one, do nothing."""
        self.connection.ask(UPKEEP_SECONDS, lambda client: self._family(client).abandon(kind))

    def drop_indexes(self) -> None:
        """Drop every index of this installation."""
        self.connection.ask(UPKEEP_SECONDS, lambda client: self._family(client).drop())

    def _family(self, client: Elasticsearch) -> IndexFamily:
        return IndexFamily(client, self.prefix, self._settings)

    def _existing(self, targets: Mapping[Kind, list[str]], kind: Kind) -> list[str]:
        if not targets[kind]:
            raise IndexMissing(self.name, f"index missing: {self.prefix}-{kind}")
        return targets[kind]


def _only(index: str, kind: Kind) -> list[str]:
    return [index]


def _routing(tenant_id: UUID | None) -> str | None:
    return None if tenant_id is None else str(tenant_id)


def _held(kind: Kind, hit: Mapping[str, Any]) -> MirroredVersion:
    tenant, identifier, *part = hit["_id"].split(":")
    key = MirrorKey(kind, UUID(tenant), UUID(identifier), int(part[0]) if part else None)
    # The server's own version, by which it judges the next write: of what we wrote it is the row's, and what
    # somebody else put here has one too.
    return MirroredVersion(key, hit["_version"])
