"""The end of the audit trail: after the longest archive period a month of events is dropped, its leaf hashes stay."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from conversations.ids import moment_of
from conversations.signing import PublicKey


@dataclass(frozen=True)
class PrunedMonths:
    """Spans whose events were dropped in order, as signed statements in the trail itself say."""

    spans: tuple[tuple[datetime, datetime], ...] = ()

    def contain(self, event_id: UUID) -> bool:
        at = moment_of(event_id)
        return any(start <= at < end for start, end in self.spans)


def pruned_months(tenant_id: UUID, key: PublicKey) -> PrunedMonths:
    return PrunedMonths()
