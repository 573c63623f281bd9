"""Id ranges of dropped partitions: removed from a store with one call, then counted."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.db import connections

from conversations.backends.protocols import Mirror
from conversations.backends.values import IdRange, Kind
from conversations.enums import Entity
from conversations.indexing.batches import Due
from conversations.ports import PurgedIds, lifecycle

# Makes a store forget a tenant's range; how many entries it still counts there.
Forget = Callable[[PurgedIds, UUID], int]


def follow_ranges(due: Sequence[Due], forget: Forget) -> Mapping[Due, int]:
    """Those of the due ranges of which the store still holds something, and how much."""
    theirs = [one for one in due if one.entity == Entity.PURGED_RANGE]
    if not theirs:
        return {}
    ranges = lifecycle().purged_ranges([one.id for one in theirs])
    left = {one: forget(ranges[one.id], one.tenant_id) for one in theirs if one.id in ranges}
    return {one: count for one, count in left.items() if count}


def forget_in(store: Mirror, *kinds: Kind) -> Forget:
    """For a store that keeps these kinds."""

    def forget(purged: PurgedIds, tenant_id: UUID) -> int:
        kind, ids = Kind(purged.kind), IdRange(purged.first, purged.before)
        if kind not in kinds:
            return 0
        store.remove_range(kind, ids, tenant_id)
        return store.count(kind, tenant_id, ids)

    return forget


def forget_in_postgresql(purged: PurgedIds, tenant_id: UUID) -> int:
    """For PostgreSQL's search table of messages; its partition usually went in the same transaction."""
    if purged.kind == Kind.MESSAGES:
        with connections["ops"].cursor() as cursor:
            cursor.execute(
                "DELETE FROM conversations_messageindex"
                " WHERE tenant_id = %s AND message_id >= %s AND message_id < %s",
                [tenant_id, purged.first, purged.before],
            )
    return 0
