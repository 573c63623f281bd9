"""How old the keys of a tenant are."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Min, Q

from conversations.models import DataKey


@dataclass(frozen=True, slots=True)
class KeyAge:
    """Keys of one kind of owner; `oldest` is that of the oldest one in use."""

    owner: str
    in_use: int
    retired: int
    destroyed: int
    oldest: datetime | None


def read_key_ages(tenant_id: UUID) -> list[KeyAge]:
    """By kind of owner. Runs inside a tenant scope."""
    in_use = Q(retired_at__isnull=True, destroyed_at__isnull=True)
    rows = (
        DataKey.objects.for_tenant(tenant_id)
        .values("owner")
        .annotate(
            in_use=Count("id", filter=in_use),
            retired=Count("id", filter=Q(retired_at__isnull=False, destroyed_at__isnull=True)),
            destroyed=Count("id", filter=Q(destroyed_at__isnull=False)),
            oldest=Min("created_at", filter=in_use),
        )
        .order_by("owner")
    )
    return [KeyAge(**row) for row in rows]
