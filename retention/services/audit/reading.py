"""Reading the audit trail: events, and proofs that an event is in the signed tree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from conversations import ids
from conversations.checkpoints import InvalidCheckpoint, detach
from conversations.exceptions import Conflict, Expired, NotFound
from conversations.installation import signing_key
from conversations.merkle import Frontier, Subtree, inclusion_proof, root
from conversations.models import AuditEvent, AuditLeaf
from conversations.signing import PublicKey
from retention.audit_leaves import EVENT_SQL, leaf_data
from retention.models import AuditCheckpoint

ALTERED = "The checkpoint over this event is not what was sealed. Verify the trail."


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events are wanted; everything that is given has to match. The span is `[start_time, end_time)`."""

    action: str | None = None
    actor: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    outcome: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True)
class Proof:
    """That a leaf is in a signed tree. `data` is what was hashed of the event, `signature` is over `signed`."""

    index: int
    data: bytes
    path: Sequence[bytes]
    tree_size: int
    root_hash: bytes
    note: str
    signed: bytes
    signature: bytes
    public_key: PublicKey


def find_events(tenant_id: UUID, wanted: EventFilter) -> QuerySet[AuditEvent]:
    """The tenant's events that match. Runs inside a tenant scope."""
    names = ("action", "actor", "object_type", "object_id", "outcome")
    given = {name: value for name in names if (value := getattr(wanted, name)) is not None}
    return AuditEvent.objects.for_tenant(tenant_id).filter(_span(wanted.start_time, wanted.end_time), **given)


def leaves_of(tenant_id: UUID, event_ids: Sequence[UUID]) -> Mapping[UUID, AuditLeaf]:
    """The leaves of those events that are sealed."""
    rows = AuditLeaf.objects.for_tenant(tenant_id).filter(event_id__in=event_ids)
    return {row.event_id: row for row in rows}


def prove_event(tenant_id: UUID, event_id: UUID) -> Proof:
    """The proof against the first checkpoint that covers the event. Runs inside a tenant scope.

    That checkpoint needs only the leaves sealed with it: everything to the left of the event is in the edge of the
    checkpoint before. NotFound for an unknown event, Conflict before it is sealed, Expired when only its leaf is left.
    """
    event = _columns(tenant_id, event_id)
    leaf = AuditLeaf.objects.for_tenant(tenant_id).filter(event_id=event_id).first()
    if leaf is None:
        if event is None:
            raise NotFound
        raise Conflict("The event is not sealed yet: ask again in some seconds.")
    if event is None:
        raise Expired("The event's period is over: only its place in the tree is left.")
    rows = AuditCheckpoint.objects.for_tenant(tenant_id)
    covering = rows.filter(tree_size__gte=leaf.sequence).order_by("tree_size").first()
    if covering is None:
        raise Conflict(ALTERED)
    before = rows.filter(tree_size__lt=leaf.sequence).order_by("-tree_size").first()
    index, edge = leaf.sequence - 1, _edge(before)
    subtree = _subtrees(edge, _hashes(tenant_id, edge.size, covering.tree_size), index)
    try:
        signed, signature = detach(covering.signed)
    except InvalidCheckpoint as error:
        raise Conflict(ALTERED) from error
    return Proof(
        index=index,
        data=leaf_data(str(tenant_id), leaf.sequence, event),
        path=inclusion_proof(index, covering.tree_size, subtree),
        tree_size=covering.tree_size,
        root_hash=bytes(covering.root_hash),
        note=covering.signed,
        signed=signed,
        signature=signature,
        public_key=signing_key().public_key,
    )


def _span(start: datetime | None, end: datetime | None) -> Q:
    """By the ids, which prune partitions, and to the microsecond."""
    span = Q()
    if start is not None:
        span &= Q(id__gte=ids.floor_id(start), created_at__gte=start)
    if end is not None:
        span &= Q(id__lt=UUID(int=ids.floor_id(end).int + (1 << 80)), created_at__lt=end)
    return span


def _columns(tenant_id: UUID, event_id: UUID) -> tuple[str, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {EVENT_SQL} FROM conversations_auditevent e WHERE e.tenant_id = %s AND e.id = %s",
            [tenant_id, event_id],
        )
        found: tuple[str, ...] | None = cursor.fetchone()
    return found


def _edge(row: AuditCheckpoint | None) -> Frontier:
    return Frontier() if row is None else Frontier.parse(row.tree_size, bytes(row.frontier))


def _hashes(tenant_id: UUID, after: int, until: int) -> list[bytes]:
    rows = AuditLeaf.objects.for_tenant(tenant_id).filter(sequence__gt=after, sequence__lte=until)
    return [bytes(hashed) for hashed in rows.order_by("sequence").values_list("leaf_hash", flat=True)]


def _subtrees(edge: Frontier, hashes: Sequence[bytes], index: int) -> Subtree:
    """Subtrees left of the leaf from the edge of the tree before it, those right of it from the leaves themselves."""
    left = dict(_perfect_subtrees(edge.extended(hashes[: index - edge.size])))

    def subtree(start: int, end: int) -> bytes:
        return left.get((start, end)) or root(hashes[start - edge.size : end - edge.size])

    return subtree


def _perfect_subtrees(frontier: Frontier) -> Iterator[tuple[tuple[int, int], bytes]]:
    start = 0
    for peak in frontier.peaks:
        width = 1 << ((frontier.size - start).bit_length() - 1)
        yield (start, start + width), peak
        start += width
