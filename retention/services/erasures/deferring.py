"""Defers what an erasure may not destroy yet: re-encrypts it under a key of the case, so that all other keys can go.

Messages and archive records stay in their tables, hidden. What else is known about the person is moved out of its
tables and packed under the case. What an earlier case has re-encrypted keeps the key of that case.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from conversations import crypto, ids, keyring, strict_json
from conversations.enums import KeyOwner
from conversations.exceptions import KeyDestroyed
from conversations.models import DataKey
from conversations.ports import Target, registry
from conversations.services.holdings import CustomerHolding
from conversations.services.messages.contents import message_aad
from retention.compression import compress
from retention.enums import RecordClass, Verdict
from retention.law import Hold, Record, decide, held_sql, parameters, verdict_sql
from retention.models import DeferredRecords, ErasureCase, LegalHold
from retention.policies import Policy
from retention.services.archiving import archive_aad
from retention.services.holds import HOLDS
from retention.services.policies import policy_in_force
from retention.services.purges.summaries import SINCE

BATCH = 1_000

_PERSON = f"SELECT {SINCE}, c.created_at FROM conversations_customer c WHERE c.tenant_id = %s AND c.id = %s"
_DEFERRED = """
    SELECT x.id, x.sealed FROM {table} x
    WHERE x.tenant_id = %(tenant)s AND {condition} AND x.hidden_at IS NOT NULL AND {verdict} <> %(destroy)s
      AND x.id > %(after)s
    ORDER BY x.id LIMIT %(limit)s
"""
_RESEAL = """
    UPDATE {table} x SET sealed = u.sealed FROM unnest(%s::uuid[], %s::bytea[]) AS u (id, sealed)
    WHERE x.tenant_id = %s AND x.id = u.id
"""


@dataclass(frozen=True)
class Law:
    """The policy and the holds of a tenant at one moment. Read it under the tenant's lock, and both stay so."""

    tenant_id: UUID
    policy: Policy
    holds: Sequence[LegalHold]
    now: datetime

    @property
    def can_defer(self) -> bool:
        return bool(self.holds or self.policy.legal_minimum)

    def decide(self, record: Record) -> Verdict:
        """What becomes of a record that the erasure covers."""
        return decide(record, self.policy, map(as_hold, self.holds), erasure=True, now=self.now)


@dataclass(frozen=True)
class Evidence:
    """A table whose rows are deferred in place."""

    table: str
    record_class: RecordClass
    aad: Callable[[UUID, UUID], bytes]


EVIDENCE = (
    Evidence("conversations_message", RecordClass.MESSAGES, message_aad),
    Evidence("retention_archiverecord", RecordClass.ARCHIVE, archive_aad),
)
HELD = held_sql(HOLDS, since="x.created_at", customer_id="x.customer_id", session_id="x.session_id")
VERDICT = verdict_sql("x.created_at", held=HELD, erasure="true")


def read_law(tenant_id: UUID) -> Law:
    """The law as it stands now. Runs inside a tenant scope."""
    now = ids.now()
    holds = [hold for hold in LegalHold.objects.for_tenant(tenant_id) if not _is_over(hold, now)]
    return Law(tenant_id, policy_in_force(tenant_id, now), holds, now)


def as_hold(row: LegalHold) -> Hold:
    return Hold(row.customer_id, row.session_id, row.start_time, row.end_time, row.grace_until)


def as_record(row: DeferredRecords) -> Record:
    return Record(RecordClass.SUMMARIES, row.since, row.began, customer_id=row.customer_id)


def condition_of(target: Target, row: str = "x") -> tuple[str, Mapping[str, Any]]:
    """SQL that chooses the target's messages or archive records, with its parameters."""
    if target.customer_id is not None:
        return f"{row}.customer_id = %(customer)s", {"customer": target.customer_id}
    if target.session_id is not None:
        return f"{row}.session_id = %(session)s", {"session": target.session_id}
    return f"{row}.id = ANY (%(chosen)s)", {"chosen": list(target.message_ids)}


def pack_person(case: ErasureCase, target: Target, law: Law) -> None:
    """Pack what is known of the customer beside the messages, if the law wants it kept. Before it is hidden."""
    if target.customer_id is None or not law.can_defer:
        return
    with connection.cursor() as cursor:
        cursor.execute(_PERSON, [case.tenant_id, target.customer_id])
        since, began = cursor.fetchone()
    record = Record(RecordClass.SUMMARIES, since, began, customer_id=target.customer_id)
    if law.decide(record) is Verdict.DESTROY:
        return
    for holding in registry.holdings.values():
        if holding.record_class != RecordClass.SUMMARIES and holding.name != CustomerHolding.name:
            continue
        if lines := [strict_json.encode(one) for one in holding.export(case.tenant_id, target)]:
            row = DeferredRecords(
                tenant_id=case.tenant_id,
                case=case,
                customer_id=target.customer_id,
                holding=holding.name,
                # An id alone does not count as a record, but it belongs to the evidence.
                records=0 if holding.name == CustomerHolding.name else len(lines),
                since=since,
                began=began,
            )
            row.sealed = keyring.seal(
                case.tenant_id, KeyOwner.CASE, case.id, compress(b"\n".join(lines)), _aad(row)
            )
            row.save(force_insert=True)


def seal_deferred(case: ErasureCase, target: Target, law: Law) -> None:
    """Seal the target's evidence under the key of the case. After it was hidden, before keys are destroyed."""
    if not law.can_defer:
        return
    for evidence in EVIDENCE:
        after = UUID(int=0)
        while rows := _deferred(evidence, target, law, after):
            after = rows[-1][0]
            sealed = list(_sealed_anew(case, evidence, rows))
            with connection.cursor() as cursor:
                cursor.execute(
                    _RESEAL.format(table=evidence.table),
                    [[row_id for row_id, _ in sealed], [one for _, one in sealed], case.tenant_id],
                )


def count_packed(case: ErasureCase) -> int:
    return DeferredRecords.objects.for_tenant(case.tenant_id).filter(case=case).count()


def release_packed(case: ErasureCase, law: Law) -> int:
    """Delete packed records that are no longer deferred; returns how many are left."""
    rows = list(DeferredRecords.objects.for_tenant(case.tenant_id).filter(case=case))
    over = [row.id for row in rows if law.decide(as_record(row)) is Verdict.DESTROY]
    DeferredRecords.objects.for_tenant(case.tenant_id).filter(id__in=over).delete()
    return len(rows) - len(over)


def _deferred(evidence: Evidence, target: Target, law: Law, after: UUID) -> list[tuple[UUID, bytes]]:
    condition, chosen = condition_of(target)
    values = {**parameters(evidence.record_class, law.policy, law.now), **chosen}
    values |= {"tenant": law.tenant_id, "after": after, "limit": BATCH, "destroy": str(Verdict.DESTROY.value)}
    statement = _DEFERRED.format(table=evidence.table, condition=condition, verdict=VERDICT)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [(row_id, bytes(sealed)) for row_id, sealed in cursor.fetchall()]


def _sealed_anew(
    case: ErasureCase, evidence: Evidence, rows: Sequence[tuple[UUID, bytes]]
) -> Iterator[tuple[UUID, bytes]]:
    key_ids = {crypto.key_id(sealed) for _, sealed in rows}
    keys = DataKey.objects.for_tenant(case.tenant_id).filter(id__in=key_ids)
    of_cases = set(keys.filter(owner=KeyOwner.CASE).values_list("id", flat=True))
    for row_id, sealed in rows:
        if crypto.key_id(sealed) in of_cases:
            continue
        aad = evidence.aad(case.tenant_id, row_id)
        try:
            plain = keyring.unseal(case.tenant_id, sealed, aad)
        except KeyDestroyed:  # a restore brought back the row but not its key: nothing can be saved
            continue
        yield row_id, keyring.seal(case.tenant_id, KeyOwner.CASE, case.id, plain, aad)


def _is_over(hold: LegalHold, now: datetime) -> bool:
    return hold.grace_until is not None and hold.grace_until <= now


def _aad(row: DeferredRecords) -> bytes:
    return crypto.row_aad(row.tenant_id, DeferredRecords._meta.db_table, "sealed", row.id)
