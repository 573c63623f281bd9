"""The retention law behind the core's port."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q

from conversations import ids
from conversations.ports import Expiry, PurgedIds, Target
from conversations.principals import Actor
from retention.services import holds
from retention.services.erasures import cases
from retention.services.policies import expiries, policy_in_force
from retention.services.purges import partition_drops
from retention.services.purges.summaries import SummaryOver, held_customers, summaries_over


class RetentionLifecycle:
    """`conversations.ports.Lifecycle`."""

    def expiry(self, tenant_id: UUID) -> Expiry:
        return expiries.get(tenant_id)

    def held_sessions(self, tenant_id: UUID, session_ids: Sequence[UUID]) -> set[UUID]:
        return holds.held_sessions(tenant_id, session_ids)

    def held_messages(self, tenant_id: UUID, message_ids: Sequence[UUID]) -> set[UUID]:
        return holds.held_messages(tenant_id, message_ids)

    def held_memories(self, tenant_id: UUID, memory_ids: Sequence[UUID]) -> set[UUID]:
        return holds.held_memories(tenant_id, memory_ids)

    def held_customers(self, tenant_id: UUID, customer_ids: Sequence[UUID]) -> set[UUID]:
        return held_customers(tenant_id, customer_ids)

    def summaries_over(self, tenant_id: UUID, customer_ids: Sequence[UUID]) -> set[UUID]:
        now = ids.now()
        return summaries_over(tenant_id, policy_in_force(tenant_id, now), customer_ids, now)

    def summary_lives(self, tenant_id: UUID, customer: str) -> Q:
        now = ids.now()
        return ~Q(SummaryOver(customer, tenant_id, policy_in_force(tenant_id, now), now))

    def purged_ranges(self, range_ids: Sequence[UUID]) -> Mapping[UUID, PurgedIds]:
        return partition_drops.purged_ranges(range_ids)

    def open_erasure(
        self, *, tenant_id: UUID, target: Target, actor: Actor, reason: str, basis: str
    ) -> Mapping[str, Any]:
        return cases.delete_through_api(
            tenant_id=tenant_id, target=target, actor=actor, reason=reason, basis=basis
        )
