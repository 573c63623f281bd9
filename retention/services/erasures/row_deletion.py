"""Deletes the rows of a case in PostgreSQL, in batches under the law, and counts what is left."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from conversations.enums import Reason
from conversations.models import ContextReceipt, Customer, Memory, Tombstone
from conversations.ports import Target, registry
from conversations.services.holdings import count_records, messages_of, sessions_of
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass, Verdict
from retention.law import parameters
from retention.models import ErasureCase
from retention.services import locks
from retention.services.erasures import deferring
from retention.services.erasures.deferrals import describe_deferrals
from retention.services.erasures.deferring import VERDICT, condition_of
from retention.services.erasures.hiding import because
from retention.services.holdings import archive_of
from retention.services.purges.disposition import Selection, dispose_messages

BATCH = 1_000

_DELETE_ARCHIVED = """
    DELETE FROM retention_archiverecord WHERE tenant_id = %(tenant)s AND id IN (
        SELECT x.id FROM retention_archiverecord x
        WHERE x.tenant_id = %(tenant)s AND {condition} AND x.hidden_at IS NOT NULL AND {verdict} = %(destroy)s
        ORDER BY x.id LIMIT %(limit)s)
"""


@dataclass(frozen=True)
class Ended:
    """What one pass has done, and why something is left."""

    rows: int
    deferrals: list[dict[str, Any]]


def end_rows(case: ErasureCase, target: Target) -> Ended:
    """Delete what the law allows. In transactions of its own; may be repeated at any time."""
    ended = _end_messages(case, target) + _end_archive(case, target)
    with tenant_scope(case.tenant_id):
        locks.share(case.tenant_id)
        law = deferring.read_law(case.tenant_id)
        packed = deferring.count_packed(case)
        left = deferring.release_packed(case, law)
        deferrals = describe_deferrals(case, target, law)
    _erase_holdings(case, target)
    return Ended(ended + packed - left, deferrals)


def remove_bare_rows(case: ErasureCase, target: Target) -> None:
    """Remove the sessions' rows and the customer's, of which only ids are left. When no mirror needs them any more."""
    tenant_id = case.tenant_id
    if target.message_ids:
        return
    with tenant_scope(tenant_id), because(Reason.ERASURE):
        spoken = messages_of(tenant_id, target).values("session_id")
        bare = sessions_of(tenant_id, target).filter(cleared_at__isnull=False).exclude(id__in=spoken)
        # Written by requests that were still running.
        ContextReceipt.objects.for_tenant(tenant_id).filter(session_id__in=bare.values("id")).delete()
        bare.delete()
        if target.customer_id is not None and not _is_referred_to(tenant_id, target):
            Customer.objects.for_tenant(tenant_id).filter(id=target.customer_id).delete()


def _is_referred_to(tenant_id: UUID, target: Target) -> bool:
    return any(rows(tenant_id, target).exists() for rows in (sessions_of, messages_of, archive_of))


def _end_messages(case: ErasureCase, target: Target) -> int:
    condition, chosen = condition_of(target, "m")
    ended, exhausted = 0, False
    while not exhausted:
        with tenant_scope(case.tenant_id):
            law = deferring.read_law(case.tenant_id)
            disposed = dispose_messages(
                tenant_id=case.tenant_id,
                policy=law.policy,
                selection=Selection(f"{condition} AND m.hidden_at IS NOT NULL", chosen),
                reason=Reason.ERASURE,
                now=law.now,
                limit=BATCH,
            )
        ended, exhausted = ended + len(disposed.ids), disposed.exhausted
    return ended


def _end_archive(case: ErasureCase, target: Target) -> int:
    condition, chosen = condition_of(target)
    statement = _DELETE_ARCHIVED.format(condition=condition, verdict=VERDICT)
    ended, count = 0, BATCH
    while count == BATCH:
        with tenant_scope(case.tenant_id), because(Reason.ERASURE), connection.cursor() as cursor:
            locks.share(case.tenant_id)
            law = deferring.read_law(case.tenant_id)
            values = {**parameters(RecordClass.ARCHIVE, law.policy, law.now), **chosen}
            values |= {"tenant": case.tenant_id, "limit": BATCH, "destroy": str(Verdict.DESTROY.value)}
            cursor.execute(statement, values)
            count = cursor.rowcount
        ended += count
    return ended


def _erase_holdings(case: ErasureCase, target: Target) -> None:
    tenant_id = case.tenant_id
    with tenant_scope(tenant_id), because(Reason.ERASURE):
        gone = Tombstone.objects.for_tenant(tenant_id).filter(case_id=case.id, kind="memory")
        memories = Memory.objects.for_tenant(tenant_id).filter(hidden_at__isnull=False)
        memories.filter(id__in=gone.values("object_id")).delete()
        found = count_records(tenant_id, target)
    for name in [name for name, count in found.items() if count]:
        with tenant_scope(tenant_id), because(Reason.ERASURE):
            registry.holdings[name].erase(tenant_id, target)
