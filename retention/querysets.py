"""Named reads of retention's tables."""

from datetime import datetime
from typing import Self
from uuid import UUID

from django.db import models
from django.db.models import Q

from conversations.ids import floor_id
from conversations.ports import Expiry
from conversations.querysets import M_co, TenantQuerySet, Unexpired
from retention.periods import bounds
from retention.policies import Policy


class ArchiveQuerySet(TenantQuerySet[M_co]):
    """Archive records: for compliance staff, never for agents."""

    def readable(self, policy: Policy, now: datetime, held: models.Exists | None = None) -> Self:
        """Within the archive period at that moment, whether or not a purge has run, or under a hold."""
        period = policy.archive
        expiry = Expiry(str(period), policy.zone, period.fewest_days, period.most_days)
        possibly_alive = floor_id(bounds(now, period).all_expired_through)
        alive = Q(Unexpired("created_at", expiry, now), id__gte=possibly_alive)
        return self.filter(alive | Q(held) if held is not None else alive)

    def about(self, customer_id: UUID | None, session_id: UUID | None) -> Self:
        """Those of a customer, of a session, or of both; None asks for nothing."""
        asked = {"customer_id": customer_id, "session_id": session_id}
        return self.filter(**{name: value for name, value in asked.items() if value is not None})
