"""The end of the audit trail: after the longest archive period a month of events is dropped, its leaf hashes stay.

With each month that goes, every trail that reaches back so far gets an event that says from when on it has its
events, signed by the installation: nobody else can say so. It speaks of everything before, hence it may itself go
with its month, seven years later, when the trail has a newer one.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import connections, transaction

from conversations import ids
from conversations.canonical import canonical, instant
from conversations.ids import moment_of
from conversations.installation import signing_key
from conversations.locking import BRIEFLY, try_locked
from conversations.models import AuditEvent
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.accounts.tenants import all_tenants
from conversations.services.operations.partitions import Partition, list_partitions
from conversations.signing import PublicKey, decode64
from retention.models import LegalHold
from retention.periods import bounds
from retention.services import locks
from retention.services.audit.sealing import UNSEALED_SQL
from retention.services.policies import every_policy

log = structlog.get_logger(__name__)

ACTION = "audit.pruned"
TABLE = AuditEvent._meta.db_table

_TRAILS = """
    SELECT t.id, coalesce(e.events, 0), l.leaves FROM conversations_tenant t
    LEFT JOIN (SELECT tenant_id, count(*) AS events FROM "{month}" GROUP BY tenant_id) e ON e.tenant_id = t.id
    CROSS JOIN LATERAL (SELECT count(*) AS leaves FROM conversations_auditleaf a
        WHERE a.tenant_id = t.id AND a.event_id >= %(first)s AND a.event_id < %(before)s) l
    WHERE EXISTS (SELECT FROM conversations_auditleaf a WHERE a.tenant_id = t.id AND a.event_id < %(before)s)
    ORDER BY t.id
"""
_UNSEALED = f'SELECT EXISTS (SELECT FROM "{{month}}" e WHERE {UNSEALED_SQL})'
_STRAYS = f'SELECT EXISTS (SELECT FROM "{TABLE}_default" WHERE id < %(before)s)'


@dataclass(frozen=True)
class PrunedMonths:
    """Until when events were dropped in order, as a signed statement in the trail itself says."""

    before: datetime | None = None

    def contain(self, event_id: UUID) -> bool:
        return self.before is not None and moment_of(event_id) < self.before


def pruned_months(tenant_id: UUID, key: PublicKey) -> PrunedMonths:
    """What the tenant's trail may lack. A statement that this installation did not sign says nothing."""
    rows = AuditEvent.objects.using("ops").filter(tenant_id=tenant_id, action=ACTION)
    stated = [at for row in rows if (at := _stated(tenant_id, row.details, key)) is not None]
    return PrunedMonths(max(stated, default=None))


def prune_audit(*, actor: Actor) -> list[str]:
    """Drop the months of events that are past every archive period, oldest first; their names.

    A month stays, and with it all that follow, while a hold reaches into it or something in it is unsealed.
    """
    now = ids.now()
    expired = min(bounds(now, policy.archive).all_expired_through for policy in every_policy())
    dropped: list[str] = []
    for month in list_partitions(TABLE):
        if month.before > ids.floor_id(expired) or not _dropped(month, actor, now):
            break
        log.info("audit.month_dropped", partition=month.name)
        dropped.append(month.name)
    return dropped


def _dropped(month: Partition, actor: Actor, now: datetime) -> bool:
    """Drop the month if it may go; waits for locks only briefly, because every audited act waits behind it."""
    return bool(try_locked(_drop, month, actor, now))


@transaction.atomic(using="owner")
def _drop(month: Partition, actor: Actor, now: datetime) -> bool:
    """In one transaction: lock out holds, check, record it in every trail, drop."""
    for tenant in all_tenants():
        locks.share(tenant.id, using="owner")
    if reason := _why_it_stays(month, now):
        log.warning("audit.month_stays", partition=month.name, reason=reason)
        return False
    values = {"first": month.first, "before": month.before}
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{BRIEFLY}'")
        cursor.execute(_TRAILS.format(month=month.name), values)
        trails = cursor.fetchall()
    for tenant_id, events, leaves in trails:
        _state(tenant_id, moment_of(month.before), actor, {"events": events, "missing": leaves - events})
    with connections["owner"].cursor() as cursor:
        cursor.execute(f'ALTER TABLE "{TABLE}" DETACH PARTITION "{month.name}"')
        cursor.execute(f'DROP TABLE "{month.name}"')
    return True


def _why_it_stays(month: Partition, now: datetime) -> str:
    first, before = moment_of(month.first), moment_of(month.before)
    for hold in LegalHold.objects.using("owner").all():
        is_over = hold.grace_until is not None and hold.grace_until <= now
        is_elsewhere = (hold.start_time is not None and hold.start_time >= before) or (
            hold.end_time is not None and hold.end_time <= first
        )
        if not is_over and not is_elsewhere:
            return "a hold reaches into it"
    with connections["owner"].cursor() as cursor:
        cursor.execute(_STRAYS, {"before": month.before})
        if cursor.fetchone()[0]:
            return "some of its events lie in the DEFAULT partition"
        cursor.execute(_UNSEALED.format(month=month.name))
        return "it has events without a leaf" if cursor.fetchone()[0] else ""


def _state(tenant_id: UUID, before: datetime, actor: Actor, counts: Mapping[str, int]) -> None:
    signature = b64encode(signing_key().sign(_statement(tenant_id, instant(before)))).decode()
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action=ACTION,
        object_type="audit_trail",
        object_id=tenant_id,
        details={"before": instant(before), **counts, "signature": signature},
        using="owner",
    )


def _stated(tenant_id: UUID, details: Mapping[str, object], key: PublicKey) -> datetime | None:
    before, signature = details.get("before"), details.get("signature")
    try:
        if key.has_signed(_statement(tenant_id, str(before)), decode64(str(signature))):
            return datetime.fromisoformat(str(before))
    except ValueError:
        pass
    return None


def _statement(tenant_id: UUID, before: str) -> bytes:
    return canonical({"object": "audit_pruned", "tenant": str(tenant_id), "before": before})
