"""The base of the compliance endpoints, where reads are audited too."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from conversations.api.views import TenantView
from conversations.services import audit
from conversations.tenancy import tenant_scope


class ComplianceView(TenantView):
    """A TenantView that records who read what."""

    @contextmanager
    def reading(self, action: str, object_type: str, object_id: UUID | None = None) -> Iterator[UUID]:
        """A tenant scope with the tenant's id; records an audit event if the read succeeds."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            yield tenant_id
            audit.record(
                tenant_id=tenant_id,
                actor=self.principal.actor,
                action=action,
                object_type=object_type,
                object_id=object_id,
            )
