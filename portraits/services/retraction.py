"""Removes what lost its evidence from stored versions too, not only from what is shown of them."""

from collections.abc import Collection
from uuid import UUID

from portraits.models import PortraitVersion
from portraits.services.evidence import seen_messages
from portraits.services.storage import open_summary, snapshot_of, state_of


def retract_versions(tenant_id: UUID, customer_id: UUID, gone: Collection[UUID] | None = None) -> int:
    """Rewrite the versions that rest on messages which may not be seen (or on these); how many.

    Runs inside a tenant scope, in the transaction that changed the portrait.
    """
    rows = PortraitVersion.objects.for_tenant(tenant_id).filter(customer_id=customer_id)
    evidence = {source for sources in rows.values_list("evidence", flat=True) for source in sources}
    seen = evidence - set(gone) if gone is not None else seen_messages(tenant_id, evidence)
    if evidence <= seen:
        return 0
    changed = 0
    for row in rows.filter(evidence__overlap=list(evidence - seen)).iterator(50):
        summary = open_summary(tenant_id, PortraitVersion._meta.db_table, row.id, row.sealed_summary)
        state = state_of(row.snapshot, summary).resting_on(seen)
        row.snapshot = snapshot_of(state)
        row.sealed_summary = row.sealed_summary if state.summary is not None else None
        row.evidence = sorted(state.evidence)
        row.save(update_fields=["snapshot", "sealed_summary", "evidence"])
        changed += 1
    return changed
