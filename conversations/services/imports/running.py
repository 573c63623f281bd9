"""Stores what `conversations.importing` reads, in batches: one transaction each, with its entries in the ledger.

An interrupted import is run again: the ledger says what is stored already. While PostgreSQL executes a batch's
statement, the next batch is read and scrubbed, by the same thread: a second one would compete with it for the GIL.
"""

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from conversations.exceptions import Refused
from conversations.importing import (
    ImportedCustomer,
    ImportedMemory,
    ImportedMessage,
    ImportedSession,
    ImportedSummary,
    LineError,
    Record,
)
from conversations.importing.identity import is_uuid, message_identity, session_identity
from conversations.inputs import merge_patch
from conversations.memory_inputs import MemoryIn
from conversations.mirror.waking import wake
from conversations.models import Memory
from conversations.ports import Transfer, registry
from conversations.services.customers import ensure_customers
from conversations.services.imports.ledger import Ledger
from conversations.services.imports.messages import PreparedMessage, store_messages
from conversations.services.imports.sessions import Sessions, find_or_make_sessions
from conversations.services.late_arrivals import late_customers
from conversations.services.memories.changes import create_memories
from conversations.services.messages.contents import Prepared, Scrubber, prepare
from conversations.tenancy import tenant_scope

BATCH = 2000  # records of one transaction
BATCH_BYTES = 4 * 1024 * 1024  # of content in one
MOST_ERRORS = 10_000  # told line by line; more are counted

Advance = Callable[[str, int], None]


@dataclass
class ImportReport:
    """What became of an import. `stored` and `skipped` count messages; of a dry run nothing is stored."""

    dry_run: bool
    sessions: int = 0
    messages: int = 0
    stored: int = 0
    skipped: int = 0
    customers: int = 0
    memories: int = 0
    portraits: int = 0
    summaries: int = 0
    failed: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def refuse(self, error: LineError) -> None:
        self.failed += 1
        if len(self.errors) < MOST_ERRORS:
            origin = error.origin
            told = {"file": origin.file, "line": origin.line, "code": error.code, "detail": error.detail}
            self.errors.append(told)


@dataclass
class _Batch:
    """Records in order, the messages with their scrubbed content."""

    records: list[Record] = field(default_factory=list)
    prepared: dict[int, Prepared] = field(default_factory=dict)
    errors: list[LineError] = field(default_factory=list)
    size: int = 0

    def add(self, record: Record | LineError, scrubber: Scrubber | None) -> None:
        if isinstance(record, LineError):
            self.errors.append(record)
            self.size += 1
            return
        self.records.append(record)
        if isinstance(record, ImportedMessage) and scrubber is not None:
            prepared = prepare(record.given.content, record.given.attachments, scrubber)
            self.prepared[id(record)] = prepared
            self.size += len(prepared.plaintext)

    @property
    def is_full(self) -> bool:
        return len(self.records) + len(self.errors) >= BATCH or self.size >= BATCH_BYTES

    def of(self, kind: type) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Garbage collection after 50,000 new objects: what a batch holds is none, and 700 took a tenth of an import."""
    usual = gc.get_threshold()
    gc.set_threshold(50_000)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@_collecting_rarely()
def import_records(
    *,
    tenant_id: UUID,
    records: Iterable[Record | LineError],
    dry_run: bool = False,
    advance: Advance = lambda what, done: None,
) -> ImportReport:
    """Store the records that are not stored yet; refused lines are listed in the report."""
    started = time.monotonic()
    report = ImportReport(dry_run)
    seen: set[int] = set()
    done = 0
    with tenant_scope(tenant_id):
        scrubber = Scrubber(tenant_id)
        scrubber.load()
    batches = _ReadAhead(_batches(records, None if dry_run else scrubber))
    for batch in batches:
        for error in batch.errors:
            report.refuse(error)
        messages = batch.of(ImportedMessage)
        report.messages += len(messages)
        report.sessions += _count_new(batch.of(ImportedSession), messages, seen)
        _Storing(tenant_id, batch, report, meanwhile=batches.read_on).run()
        done += len(batch.records) + len(batch.errors)
        advance("records", done)
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _count_new(
    sessions: Sequence[ImportedSession], messages: Sequence[ImportedMessage], seen: set[int]
) -> int:
    """How many sessions were not `seen`; messages name theirs by either of its names."""
    new = 0
    for one in sessions:
        names = {hash(name) for name in (one.source_id, one.given.external_id) if name} or {hash(one.key)}
        new += names.isdisjoint(seen)
        seen |= names
    unseen = {hash(one.session) for one in messages} - seen
    seen |= unseen
    return new + len(unseen)


class _Storing:
    """Stores one batch."""

    def __init__(
        self, tenant_id: UUID, batch: _Batch, report: ImportReport, *, meanwhile: Callable[[], None]
    ) -> None:
        self.tenant_id, self.batch, self.report = tenant_id, batch, report
        self.meanwhile = meanwhile

    def run(self) -> None:
        with tenant_scope(self.tenant_id):
            self.ledger = Ledger(self.tenant_id)
            if not self.report.dry_run:
                self.ledger.lock()
            self.known = self.ledger.find(self._identities())
            messages = [one for one in self.batch.of(ImportedMessage) if self._is_new(one)]
            self.report.skipped += len(self.batch.of(ImportedMessage)) - len(messages)
            if self.report.dry_run:
                return
            self._store_customers()
            sessions = find_or_make_sessions(
                self.tenant_id, self.ledger, self.known, self.batch.of(ImportedSession), messages
            )
            self._refuse_sessions(sessions)
            self._store_messages(sessions, messages)
            self.ledger.write()  # memories and portraits may refer to messages of this batch
            self._store_memories()
            self._store_transfers()
            self.ledger.write()
        wake()

    def _identities(self) -> Iterator[bytes]:
        for record in self.batch.records:
            yield record.key
            if isinstance(record, ImportedMessage):
                yield session_identity(record.session)
            elif isinstance(record, ImportedSession) and record.source_id is not None:
                yield session_identity(record.source_id)

    def _is_new(self, record: Record) -> bool:
        """Whether the ledger did not have it when the batch began."""
        return record.key not in self.known

    def _refuse(self, record: Record, code: str, detail: str) -> None:
        self.report.refuse(LineError(record.origin, code, detail))

    def _store_customers(self) -> None:
        lines = {one.key: one for one in self.batch.of(ImportedCustomer) if self._is_new(one)}
        if not lines:
            return
        customers, erased = ensure_customers(
            self.tenant_id, {one.given.customer_id: one.given.created_at for one in lines.values()}
        )
        for one in lines.values():
            if one.given.customer_id in erased:
                self._refuse(one, "erased", "This customer was erased; what is older cannot come back.")
                continue
            row = customers[one.given.customer_id]
            row.metadata = merge_patch(row.metadata, one.given.metadata or {}) or {}
            row.language = one.given.language or row.language
            row.save(update_fields=["metadata", "language", "updated_at"])
            self.ledger.note(one.key, row.id)
            self.report.customers += 1

    def _refuse_sessions(self, sessions: Sessions) -> None:
        for one in self.batch.of(ImportedSession):
            if one.key in sessions.refused:
                self._refuse(
                    one, "erased", "This session was erased; what is older than the erasure cannot come back."
                )

    def _store_messages(self, sessions: Sessions, messages: Sequence[ImportedMessage]) -> None:
        ready: dict[bytes, PreparedMessage] = {}
        for one in messages:
            session_id = sessions.of(one.session)
            if session_id is None:
                self._refuse(one, "erased", "Its session was deleted or erased; it cannot come back.")
            elif one.key in ready:
                self.report.skipped += 1
            else:
                ready[one.key] = PreparedMessage(one, self.batch.prepared[id(one)], session_id)
        result = store_messages(self.tenant_id, self.ledger, list(ready.values()), meanwhile=self.meanwhile)
        self.report.stored += result.stored
        self.report.skipped += result.skipped
        for record, code, detail in result.refused:
            self._refuse(record, code, detail)

    def _store_memories(self) -> None:
        lines = {one.key: one for one in self.batch.of(ImportedMemory) if self._is_new(one)}
        stored = self._memories_of([one.given.id for one in lines.values() if is_uuid(one.given.id)])
        sources = self._evidence(name for one in lines.values() for name in one.given.source_message_ids)
        for one in lines.values():
            given, at = one.given, one.given.created_at
            if (there := stored.get(one.given.id or "")) is not None:
                self.ledger.note(one.key, there)
                continue
            if given.customer_id is not None and late_customers(self.tenant_id, {given.customer_id: at}):
                self._refuse(one, "erased", "Its customer was erased; it cannot come back.")
                continue
            if missing := [name for name in given.source_message_ids if name not in sources]:
                self._refuse(
                    one, "unknown_evidence", f"source_message_ids: no message {missing[0]} was imported."
                )
                continue
            body = MemoryIn(
                content=given.content,
                kind=given.kind,
                customer_id=given.customer_id,
                external_id=given.external_id,
                metadata=given.metadata,
                source_message_ids=[sources[name] for name in given.source_message_ids],
                embedding=given.embedding,
                profile=given.profile,
                expires_at=given.expires_at,
            )
            try:
                (row,), new = create_memories(tenant_id=self.tenant_id, given=[body], created_at=at)
            except Refused as problem:
                self._refuse_because(one, problem)
                continue
            self.ledger.note(one.key, row.id)
            self.report.memories += new

    def _memories_of(self, own: Sequence[str]) -> dict[str, UUID]:
        """Existing memories of these ids: an export may be imported where it was made."""
        rows = Memory.objects.for_tenant(self.tenant_id).filter(id__in=own) if own else Memory.objects.none()
        return {str(memory_id): memory_id for memory_id in rows.values_list("id", flat=True)}

    def _store_transfers(self) -> None:
        """Records that other apps store."""
        new: list[tuple[Transfer, Any]] = [
            (transfer, record)
            for record in {one.key: one for one in self.batch.records}.values()
            for transfer in registry.transfers.values()
            if isinstance(record, transfer.accepts) and self._is_new(record)
        ]
        message_ids = self._evidence(
            name for transfer, record in new for name in transfer.message_ids(record)
        )
        for transfer, record in new:
            try:
                object_id = transfer.import_record(self.tenant_id, record, message_ids)
            except Refused as problem:
                self._refuse_because(record, problem)
                continue
            self.ledger.note(record.key, object_id)
            if isinstance(record, ImportedSummary):
                self.report.summaries += 1
            else:
                self.report.portraits += 1

    def _refuse_because(self, record: Record, problem: Refused) -> None:
        errors = getattr(problem, "errors", ())
        self._refuse(record, errors[0].code if errors else type(problem).__name__.lower(), problem.detail)

    def _evidence(self, names: Iterable[str]) -> dict[str, UUID]:
        """Our ids of the messages with these source ids."""
        by_identity = {message_identity(name): name for name in names}
        if not by_identity:
            return {}
        return {by_identity[one]: found for one, found in self.ledger.find(by_identity).items()}


def _batches(records: Iterable[Record | LineError], scrubber: Scrubber | None) -> Iterator[_Batch]:
    batch = _Batch()
    for record in records:
        batch.add(record, scrubber)
        if batch.is_full:
            yield batch
            batch = _Batch()
    if batch.records or batch.errors:
        yield batch


class _ReadAhead:
    """Batches, of which the next one can be read before its turn."""

    def __init__(self, batches: Iterator[_Batch]) -> None:
        self._batches = batches
        self._ahead: list[_Batch | None] = []

    def read_on(self) -> None:
        if not self._ahead:
            self._ahead.append(next(self._batches, None))

    def __iter__(self) -> Iterator[_Batch]:
        while True:
            self.read_on()
            batch = self._ahead.pop()
            if batch is None:
                return
            yield batch
