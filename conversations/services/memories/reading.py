"""Reading memories as agents see them: current, and with their content."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from conversations import ids, presenters
from conversations.exceptions import Expired, NotFound
from conversations.models import Memory
from conversations.ports import lifecycle
from conversations.querysets import MemoryQuerySet
from conversations.services.customers import find_customer, is_forgotten
from conversations.services.late_arrivals import explain_absence
from conversations.services.memories.contents import open_memories
from conversations.services.messages.reading import external_ids


def get_memory(tenant_id: UUID, memory_id: UUID) -> Memory:
    """The memory; Expired, Erased or NotFound when it may not be seen. Runs inside a tenant scope."""
    row = Memory.objects.for_tenant(tenant_id).live().filter(id=memory_id).first()
    if row is None:
        explain_absence(tenant_id=tenant_id, object_id=memory_id)
        raise NotFound
    if row.expires_at is not None and row.expires_at <= ids.now():
        raise Expired
    if row.customer_id is not None and lifecycle().summaries_over(tenant_id, [row.customer_id]):
        raise Expired
    return row


def list_memories(
    tenant_id: UUID,
    *,
    customer_id: str | None = None,
    kind: str | None = None,
    external_id: str | None = None,
) -> MemoryQuerySet[Memory]:
    """The memories that may be seen now; none for an unknown customer. Runs inside a tenant scope."""
    rows = Memory.objects.for_tenant(tenant_id).current(ids.now())
    if customer_id is not None:
        customer = find_customer(tenant_id, customer_id)
        if customer is None or is_forgotten(customer):
            return rows.none()
        rows = rows.filter(customer_id=customer.id)
    asked = {"kind": kind, "external_id": external_id}
    return rows.filter(**{name: value for name, value in asked.items() if value is not None})


def present_memories(tenant_id: UUID, rows: Sequence[Memory]) -> list[dict[str, Any]]:
    """Memories as the API shows them, in two queries however many there are. Runs inside a tenant scope."""
    customers = external_ids(tenant_id, {row.customer_id for row in rows})
    return [
        presenters.memory(row, content=content, customer=customers.get(row.customer_id))
        for row, content in zip(rows, open_memories(rows), strict=True)
    ]
