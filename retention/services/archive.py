"""Reading the archive: listed and searched by scrubbed text, opened with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections
from django.db.models import Exists, F, OuterRef, Q

from conversations import ids
from conversations.analysis import lexemes
from conversations.backends.configured import search_store
from conversations.backends.postgres_lexical import tsquery
from conversations.backends.values import Kind, LexicalHit, SearchFilter, StoreUnavailable
from conversations.exceptions import Expired, NotFound
from conversations.inputs import require_text
from conversations.pii import scrub
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.late_arrivals import explain_absence
from conversations.services.messages.reading import external_ids
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass
from retention.models import ArchiveRecord, LegalHold
from retention.periods import bounds
from retention.policies import Policy
from retention.querysets import ArchiveQuerySet
from retention.services.archiving import open_record
from retention.services.policies import policy_in_force

log = structlog.get_logger(__name__)

POSTGRESQL, ELASTICSEARCH = "postgresql", "elasticsearch"

# As `ops`, naming the tenant: under row-level security `@@` may not use its index (it is not leakproof).
_SEARCH = """
    SELECT id, ts_rank(document, %(query)s::tsquery) AS rank FROM retention_archiverecord
    WHERE tenant_id = %(tenant)s AND document @@ %(query)s::tsquery AND id >= %(floor)s AND hidden_at IS NULL
    ORDER BY rank DESC, id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True)
class ArchiveHits:
    """Records, best first, and the stores that were asked."""

    hits: Sequence[tuple[ArchiveRecord, float]]
    stores: Sequence[str]
    degraded: Sequence[str]


def readable_records(tenant_id: UUID) -> ArchiveQuerySet[ArchiveRecord]:
    """What compliance staff of the tenant may read now. Runs inside a tenant scope."""
    now = ids.now()
    return _readable(tenant_id, policy_in_force(tenant_id, now), now)


def count_archived(tenant_id: UUID) -> int:
    """How many records the archive has, whether or not somebody may read them. Runs inside a tenant scope."""
    return ArchiveRecord.objects.for_tenant(tenant_id).count()


def expires_at(record: ArchiveRecord, policy: Policy) -> datetime:
    return policy.expires_at(RecordClass.ARCHIVE, record.created_at)


def search_archive(*, tenant_id: UUID, query: str, limit: int, actor: Actor) -> ArchiveHits:
    """Records whose scrubbed text matches. Opens tenant scopes of its own, between which the store is asked."""
    words = scrub(query, region=settings.PII_REGION).text
    with tenant_scope(tenant_id):
        now = ids.now()
        policy = policy_in_force(tenant_id, now)
        _record(tenant_id, actor, "archive.searched", None)
    floor = ids.floor_id(bounds(now, policy.archive).all_expired_through)
    found, stores, degraded = _ask(SearchFilter(tenant_id=tenant_id, min_id=floor), words, limit)
    with tenant_scope(tenant_id):
        rows = _readable(tenant_id, policy, now).filter(id__in=[hit.id for hit in found])
        by_id = {row.id: row for row in rows.filter(hidden_at__isnull=True)}
    hits = [(by_id[hit.id], hit.score) for hit in found if hit.id in by_id]
    return ArchiveHits(hits, stores, degraded)


def open_archived(*, tenant_id: UUID, record_id: UUID, reason: str, actor: Actor) -> dict[str, Any]:
    """The message that was archived, with its original content; audited with the reason.

    Expired past its period, Erased or NotFound when there is no such record.
    """
    require_text(reason=reason)
    with tenant_scope(tenant_id):
        record = readable_records(tenant_id).filter(id=record_id).first()
        if record is None:
            if ArchiveRecord.objects.for_tenant(tenant_id).filter(id=record_id).exists():
                raise Expired
            explain_absence(tenant_id=tenant_id, object_id=record_id)
            raise NotFound
        customer = external_ids(tenant_id, [record.customer_id]).get(record.customer_id)
        shown = open_record(record, customer=customer)
        _record(tenant_id, actor, "archive.opened", record_id, reason)
    return shown


def _readable(tenant_id: UUID, policy: Policy, now: datetime) -> ArchiveQuerySet[ArchiveRecord]:
    return ArchiveRecord.objects.for_tenant(tenant_id).readable(policy, now, held=_held(tenant_id, now))


def _held(tenant_id: UUID, now: datetime) -> Exists:
    """`law.held_sql` for archive records in the ORM; a test holds both equal."""
    holds = LegalHold.objects.for_tenant(tenant_id)
    for name, outer in (("customer_id", "customer_id"), ("session_id", "session_id")):
        holds = holds.filter(Q(**{f"{name}__isnull": True}) | Q(**{name: OuterRef(outer)}))
    holds = holds.filter(Q(start_time__isnull=True) | Q(start_time__lte=OuterRef("created_at")))
    holds = holds.filter(Q(end_time__isnull=True) | Q(end_time__gt=OuterRef("created_at")))
    return Exists(holds.filter(Q(grace_until__isnull=True) | Q(grace_until__gt=now)).order_by(F("id")))


def _ask(
    where: SearchFilter, words: str, limit: int
) -> tuple[Sequence[LexicalHit], Sequence[str], Sequence[str]]:
    """Hits, the stores that answered, and those that should have."""
    degraded = []
    if (store := search_store()) is not None:
        try:
            return store.matches(Kind.ARCHIVE, words, where, limit), [POSTGRESQL, ELASTICSEARCH], []
        except StoreUnavailable as error:
            log.info("archive.search_degraded", reason=error.reason)
            degraded.append(ELASTICSEARCH)
    query = tsquery(lexemes(words))
    values: dict[str, Any] = {
        "query": query,
        "tenant": where.tenant_id,
        "floor": where.min_id,
        "limit": limit,
    }
    with connections["ops"].cursor() as cursor:
        cursor.execute(_SEARCH, values)
        return [LexicalHit(*row) for row in cursor.fetchall()], [POSTGRESQL], degraded


def _record(tenant_id: UUID, actor: Actor, action: str, record_id: UUID | None, reason: str = "") -> None:
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        object_type="archive_record",
        object_id=record_id,
        details={"reason": reason.strip()} if reason else None,
    )
