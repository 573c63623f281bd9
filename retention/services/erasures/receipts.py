"""The receipt of a case: what every store answered, what was deferred, and what may remain for a while."""

from datetime import datetime
from typing import Literal, cast

from conversations import ids
from conversations.canonical import instant
from conversations.enums import Sink
from conversations.installation import signing_key
from conversations.models import MirrorSink
from conversations.ports import registry
from retention.models import ErasureCase, ErasureTask
from retention.receipts import Receipt, ReceiptDeferral, StoreProof, build_receipt
from retention.services.erasures.mirrors import ELASTICSEARCH, METHODS, MILVUS, MILVUS_FILES, SINKS

Scope = Literal["customer", "session", "messages", "tenant"]

RECORD = "postgresql"
ROWS = "rows deleted or cleared; counted by the same query"

HEAP = (
    "PostgreSQL: bytes of deleted rows stay in its files until they are overwritten, the table is rewritten or the"
    " partition dropped; a VACUUM does not remove them."
)
LOG = "PostgreSQL: the write-ahead log holds them until its segments are recycled, its archive as long as it is kept."
BACKUPS = (
    "Backups made before: clear columns (names, external ids, metadata, scrubbed text) until they age out"
)
SHREDDED = f"{BACKUPS}; the keys of sealed texts in them are destroyed."
READABLE = f"{BACKUPS}; sealed texts in them too, because the key goes on sealing what was not erased."
SEGMENTS = "Elasticsearch: deleted documents stay in segments, unsearchable, until these are merged."
COMPACTION = "Milvus: deleted vectors stay in segments, unsearchable, until these are compacted."
HANDED_OUT = "Exports that were handed out are beyond the reach of this system."


def issue_receipt(case: ErasureCase) -> bytes:
    """The signed bytes. Runs inside a tenant scope, when every store has answered."""
    now = ids.now()
    tasks = list(ErasureTask.objects.for_tenant(case.tenant_id).filter(case=case, found_after__isnull=False))
    receipt = Receipt(
        case=str(case.id),
        subject=case.subject,
        scope=cast(Scope, str(case.scope)),
        basis=case.basis,
        issued_at=instant(now),
        stores=_proofs(tasks, now),
        keys_destroyed=case.keys_destroyed,
        deferrals=[
            ReceiptDeferral(
                kind=deferral["kind"],
                records=deferral["records"],
                until=deferral["until"],
                hold_id=deferral["hold_id"],
                basis=deferral["basis"],
            )
            for deferral in case.deferrals
        ],
        residuals=case.residuals,
    )
    return build_receipt(receipt, signing_key())


def residuals_of(case: ErasureCase) -> list[str]:
    """What may remain although every store has answered."""
    sinks = {sink.id: sink for sink in MirrorSink.objects.all()}
    asked = set(
        ErasureTask.objects.for_tenant(case.tenant_id)
        .filter(case=case, found_after__isnull=False)
        .values_list("store", flat=True)
    )
    lines = [HEAP, LOG, SHREDDED if case.keys_destroyed and not case.message_ids else READABLE]
    if ELASTICSEARCH in asked:
        lines.append(SEGMENTS)
    if MILVUS in asked and MILVUS_FILES not in asked:
        lines.append(COMPACTION)
    for name, sink in SINKS.items():
        if name not in asked and sinks[Sink(sink)].enabled_at is not None:
            lines.append(f"{name.capitalize()} is switched off: what it may still hold was not asked for.")
    return [*lines, HANDED_OUT]


def _proofs(tasks: list[ErasureTask], now: datetime) -> dict[str, StoreProof]:
    proofs = {
        f"{RECORD}.{task.store}" if task.store in registry.holdings else task.store: _proof(task, now)
        for task in tasks
    }
    rows = [task for task in tasks if task.store in registry.holdings]
    whole = StoreProof(
        method=ROWS,
        found_before=sum(task.found_before for task in rows),
        found_after=sum(task.found_after or 0 for task in rows),
        verified_at=instant(max((task.verified_at or now for task in rows), default=now)),
    )
    return {RECORD: whole, **proofs}


def _proof(task: ErasureTask, now: datetime) -> StoreProof:
    return StoreProof(
        method=METHODS.get(task.store, ROWS),
        found_before=task.found_before,
        found_after=task.found_after or 0,
        verified_at=instant(task.verified_at or now),
    )
