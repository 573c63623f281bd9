"""What operators should notice first."""

from collections.abc import Iterator
from uuid import UUID

from django.urls import reverse

from conversations.admin.panels import Attention
from conversations.services.mirrors.status import mirror_status
from conversations.services.operations.readiness import StoreStatus, read_readiness

LAG = 60.0  # seconds a mirror may lag before it is reported


def watch_mirrors(tenant_id: UUID) -> Iterator[Attention]:
    operations = reverse("admin:operations")
    status = mirror_status(tenant_id)
    yield Attention("Mirror items parked: a store refuses them", status.parked, operations, urgent=True)
    if status.lag_seconds > LAG:
        yield Attention("Mirror items waiting for more than a minute", status.pending, operations)
    down = [name for name, state in read_readiness().stores.items() if state.status is StoreStatus.DEGRADED]
    if down:
        yield Attention(f"Stores not answering: {', '.join(down)}", len(down), operations, urgent=True)
