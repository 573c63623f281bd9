"""Milvus: a collection per embedding profile, tenants as partition key. It holds vectors and ids, no text."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from conversations.backends.milvus_collections import FIELDS, CollectionFamily
from conversations.backends.milvus_connection import CollectionNotLoaded, MilvusConnection
from conversations.backends.milvus_filters import NEVER, code, entries_filter, search_filter
from conversations.backends.values import (
    Change,
    DayDigest,
    IdRange,
    IndexMissing,
    ItemResult,
    Kind,
    MirroredVersion,
    MirrorKey,
    Outcome,
    Removal,
    SearchFilter,
    StoreUnavailable,
    Upsert,
    Vector,
    VectorDocument,
    VectorHit,
    day_of,
    digest_days,
    floor_ms,
)
from conversations.backends.vectors import flaw_of, refuse_flaws

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Answer = TypeVar("Answer")

SEARCH_SECONDS = 1.0
WRITE_SECONDS = 10.0
# Making, loading and dropping collections.
UPKEEP_SECONDS = 60.0
PAGE = 500


class MilvusStore:
    """`VectorStore` on Milvus or Milvus Lite in server mode.

    Milvus compares no versions: `apply` does, so a collection must have one writer at a time.
    """

    name = "milvus"

    def __init__(self, connection: MilvusConnection, *, collection: str, dimension: int) -> None:
        self.connection = connection
        self.collection = collection
        self.dimension = dimension

    # -- searching ---------------------------------------------------------------------------------------

    def search(
        self, vectors: Sequence[Vector], where: SearchFilter, kind: Kind = Kind.MESSAGES, limit: int = 100
    ) -> list[tuple[VectorHit, ...]]:
        """For each vector its nearest ids, best first; a filter that is not made of ids is refused."""
        condition = search_filter(where, kind)
        refuse_flaws(vectors, self.dimension)
        if condition is None or not vectors:
            return [() for _ in vectors]
        found = self._ask(
            SEARCH_SECONDS,
            lambda client: client.search(
                self.collection,
                data=list(vectors),
                anns_field="vector",
                filter=condition,
                limit=limit,
                output_fields=["pk"],
                timeout=SEARCH_SECONDS,
            ),
        )
        return [tuple(VectorHit(_id_of(hit["pk"]), hit["distance"]) for hit in hits) for hits in found]

    # -- mirroring ---------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> list[ItemResult]:
        """Send all changes, at most 10 s; one judgement each, in the order given."""
        deadline = time.monotonic() + WRITE_SECONDS
        return self._send(changes, self._targets(), deadline)

    def apply_to_rebuild(self, changes: Sequence[Change]) -> list[ItemResult]:
        """As `apply`, into the new collection only."""
        return self._send(changes, [f"{self.collection}_next"], time.monotonic() + WRITE_SECONDS)

    def _send(
        self, changes: Sequence[Change], collections: Sequence[str], deadline: float
    ) -> list[ItemResult]:
        judged: list[ItemResult] = []
        for begin in range(0, len(changes), PAGE):
            page = changes[begin : begin + PAGE]
            try:
                for collection in collections:
                    results = self._apply_page(page, collection, deadline)
                judged += results
            except StoreUnavailable as error:
                if not judged:
                    raise
                judged += [ItemResult(change.key, Outcome.UNANSWERED, error.reason) for change in page]
        return judged

    def _apply_page(self, changes: Sequence[Change], collection: str, deadline: float) -> list[ItemResult]:
        flaws = {place: self._flaw(change) for place, change in enumerate(changes)}
        # Of several changes to one key the newest stands for all of them.
        newest: dict[MirrorKey, Change] = {}
        for place, change in enumerate(changes):
            if not flaws[place] and change.version >= getattr(newest.get(change.key), "version", 0):
                newest[change.key] = change
        stored = self._versions_of(list(newest), deadline, collection)
        due = [change for key, change in newest.items() if change.version >= stored.get(key, 0)]
        self._write(due, deadline, collection)
        return [
            ItemResult(change.key, Outcome.REJECTED if flaws[place] else Outcome.DONE, flaws[place])
            for place, change in enumerate(changes)
        ]

    def _flaw(self, change: Change) -> str:
        if isinstance(change, Removal):
            return ""
        if not isinstance(change.document, VectorDocument):
            raise TypeError("Only vectors go to the vector store.")
        return flaw_of(change.document.vector, self.dimension)

    def _write(self, changes: Sequence[Change], deadline: float, collection: str) -> None:
        rows = [_row(change, change.document) for change in changes if isinstance(change, Upsert)]
        gone = [str(change.key) for change in changes if isinstance(change, Removal)]
        if gone:
            self._ask(
                deadline - time.monotonic(),
                lambda client: client.delete(collection, ids=gone, timeout=WRITE_SECONDS),
            )
        if rows:
            self._ask(
                deadline - time.monotonic(),
                lambda client: client.upsert(collection, rows, timeout=WRITE_SECONDS),
            )

    def _versions_of(
        self, keys: Sequence[MirrorKey], deadline: float, collection: str
    ) -> dict[MirrorKey, int]:
        if not keys:
            return {}
        rows = self._ask(
            deadline - time.monotonic(),
            lambda client: client.query(
                collection,
                ids=[str(key) for key in keys],
                output_fields=["pk", "row_version"],
                consistency_level="Strong",
                timeout=WRITE_SECONDS,
            ),
        )
        stored = {row["pk"]: row["row_version"] for row in rows}
        return {key: stored[str(key)] for key in keys if str(key) in stored}

    # -- checking ----------------------------------------------------------------------------------------

    def present(self, keys: Sequence[MirrorKey]) -> set[MirrorKey]:
        """Those of the keys that the store still holds; deletes just made are seen."""
        found: set[MirrorKey] = set()
        for begin in range(0, len(keys), PAGE):
            page, deadline = keys[begin : begin + PAGE], time.monotonic() + WRITE_SECONDS
            for collection in self._targets():
                found |= set(self._versions_of(page, deadline, collection))
        return found

    def count(self, kind: Kind, tenant_id: UUID | None = None, ids: IdRange | None = None) -> int:
        """How many entries: of one tenant, or of all for operators; deletes just made are seen."""
        condition = entries_filter(kind, tenant_id, ids=ids)
        (row,) = self._ask(
            WRITE_SECONDS,
            lambda client: client.query(
                self.collection,
                filter=condition,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=WRITE_SECONDS,
            ),
        )
        return int(row["count(*)"])

    def versions(
        self, kind: Kind, tenant_id: UUID, start: dt.datetime | None = None, end: dt.datetime | None = None
    ) -> Iterator[MirroredVersion]:
        """Every entry of the tenant whose time is in [start, end), in no order."""
        condition = entries_filter(kind, tenant_id, start=start, end=end)
        return self._versions(kind, condition, self.collection)

    def day_digests(self, kind: Kind, tenant_id: UUID) -> Iterator[DayDigest]:
        """Count and digest for each UTC day on which the tenant has entries."""
        # As `versions` finds them: what somebody else put here may have an id of any time.
        rows = self._scan(
            self.collection, entries_filter(kind, tenant_id), ["pk", "row_version", "created_at"]
        )
        return digest_days(tenant_id, ((day_of(row["created_at"]), _version(kind, row)) for row in rows))

    def remove_range(self, kind: Kind, ids: IdRange, tenant_id: UUID | None = None) -> int:
        """Remove everything in the range, of one tenant or of all; how many went."""
        condition = entries_filter(kind, tenant_id, ids=ids)
        removed: set[MirrorKey] = set()
        for collection in self._targets():
            found = [Removal(held.key, held.version) for held in self._versions(kind, condition, collection)]
            for begin in range(0, len(found), PAGE):
                self._write(found[begin : begin + PAGE], time.monotonic() + WRITE_SECONDS, collection)
            removed.update(removal.key for removal in found)
        return len(removed)

    def ping(self) -> None:
        """Return when the store is there and has what we need of it; else raise `StoreUnavailable`."""
        state = self._ask(
            SEARCH_SECONDS, lambda client: client.get_load_state(self.collection, timeout=SEARCH_SECONDS)
        )
        if "NotExist" in str(state["state"]):
            raise IndexMissing(self.name, "collection missing")

    def _versions(self, kind: Kind, condition: str, collection: str) -> Iterator[MirroredVersion]:
        for row in self._scan(collection, condition, ["pk", "row_version"]):
            yield _version(kind, row)

    def _scan(self, collection: str, condition: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        pages = self._ask(
            WRITE_SECONDS,
            lambda client: client.query_iterator(
                collection,
                batch_size=PAGE,
                filter=condition,
                output_fields=fields,
                consistency_level="Strong",
                timeout=WRITE_SECONDS,
            ),
        )
        try:
            while rows := self._ask(WRITE_SECONDS, lambda _: pages.next()):
                yield from rows
        finally:
            pages.close()

    # -- collections -------------------------------------------------------------------------------------

    def ensure_collection(self) -> bool:
        """Make the collection if it is missing and load it; whether it was made."""
        return self._keep(lambda family: family.ensure())

    def leaves_residue(self) -> bool:
        """Whether deleted vectors stay in files until `rebuild_by_copy` (Milvus Lite never compacts them away)."""
        return self._keep(lambda family: family.is_lite())

    def begin_rebuild(self) -> str:
        """Make an empty collection beside the one in use; from now on `apply` writes to both. Its name."""
        return self._keep(lambda family: family.begin())

    def finish_rebuild(self) -> str:
        """Let searches and writes use the new collection alone, and drop the old one. The new one's name."""
        return self._keep(lambda family: family.finish())

    def abandon_rebuild(self) -> None:
        """Drop a half-built collection; without one, do nothing."""
        self._keep(lambda family: family.abandon())

    def _targets(self) -> list[str]:
        """What writes go to now: the collection in use, and one that is being built."""
        return self._keep(lambda family: family.targets()) or [self.collection]

    def rebuild_by_copy(self, after_page: Callable[[], None] = lambda: None) -> int:
        """Copy all vectors to a new collection, drop the old: no deleted vector stays on disk.

        Long for a large collection; `after_page` is called now and then.
        """
        name = self._keep(lambda family: family.create_next())
        copied = 0
        rows: list[dict[str, Any]] = []
        for row in self._scan(self.collection, 'pk != ""', list(FIELDS)):
            rows.append(row)
            if len(rows) == PAGE:
                copied += self._copy(name, rows)
                rows = []
                after_page()
        copied += self._copy(name, rows)
        self._keep(lambda family: family.switch(name))
        return copied

    def _copy(self, name: str, rows: list[dict[str, Any]]) -> int:
        if rows:
            self._ask(WRITE_SECONDS, lambda client: client.insert(name, rows, timeout=WRITE_SECONDS))
        return len(rows)

    def drop(self) -> None:
        """Drop the collection; without one, do nothing."""
        self._keep(lambda family: family.drop())

    def _keep(self, work: Callable[[CollectionFamily], Answer]) -> Answer:
        def asked(client: MilvusClient) -> Answer:
            return work(CollectionFamily(client, self.collection, self.dimension, UPKEEP_SECONDS))

        return self.connection.ask(UPKEEP_SECONDS, asked)

    def _ask(self, seconds: float, question: Callable[[MilvusClient], Answer]) -> Answer:
        try:
            return self.connection.ask(seconds, question)
        except CollectionNotLoaded:
            self.connection.ask(
                seconds, lambda client: client.load_collection(self.collection, timeout=seconds)
            )
            return self.connection.ask(seconds, question)


def _row(change: Upsert, document: Any) -> dict[str, Any]:
    key = change.key
    return {
        "pk": str(key),
        "tenant_id": str(key.tenant_id),
        "id": str(key.id),
        "kind": str(key.kind),
        "session_id": str(document.session_id or ""),
        "customer_id": str(document.customer_id or ""),
        "role": code(document.role),
        "language": code(document.language),
        "memory_kind": code(document.memory_kind),
        "created_at": floor_ms(document.created_at),
        "row_version": change.version,
        "expires_at": NEVER if document.expires_at is None else floor_ms(document.expires_at),
        "vector": document.vector,
    }


def _version(kind: Kind, row: Mapping[str, Any]) -> MirroredVersion:
    tenant, identifier = row["pk"].split(":")
    return MirroredVersion(MirrorKey(kind, UUID(tenant), UUID(identifier)), row["row_version"])


def _id_of(pk: str) -> UUID:
    return UUID(pk.split(":")[1])
