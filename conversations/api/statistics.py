"""`/stats`: how much a tenant has stored, and how far its mirrors lag."""

from datetime import datetime
from typing import Literal

from django.http import HttpResponse
from msgspec import Struct

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.services.statistics.usage import read_stats


class DocumentsOut(Struct, kw_only=True):
    """Entries in each store; null where it is off or does not answer."""

    elasticsearch: int | None
    milvus: int | None


class MirrorOut(Struct, kw_only=True):
    """Exact at once. `pending` has no parked events in it."""

    lag_seconds: float
    pending: int
    parked: int
    rate_per_second: float


class IngestOut(Struct, kw_only=True):
    last_minute: int
    last_hour: int
    last_day: int


class StatsOut(Struct, kw_only=True):
    """Counts are at most five seconds old, bytes estimated."""

    object: Literal["stats"]
    messages: int
    sessions: int
    customers: int
    memories: int
    preferences: int
    archived: int
    bytes: dict[str, int]
    documents: DocumentsOut
    mirror: MirrorOut
    ingest: IngestOut
    oldest_message_at: datetime | None


class Stats(TenantView):
    @operation(Scope.READ, answers={200: StatsOut})
    def get(self) -> HttpResponse:
        """How much the tenant has stored, and how far the mirrors lag."""
        return answer(read_stats(self.principal.tenant_id))
