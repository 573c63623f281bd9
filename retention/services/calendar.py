"""What reaches its end in the coming weeks, by day: estimated from the counters of sessions."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from conversations import ids
from retention.policies import Policy

DAYS = 30

# All of a session's messages count for the day it began, which is a little off for one that lasts for days.
_BY_DAY = """
    SELECT ((s.created_at AT TIME ZONE %(zone)s) + %(period)s::interval)::date AS day, sum(s.message_count)
    FROM conversations_session s
    WHERE s.tenant_id = %(tenant)s AND s.id >= %(low)s AND s.id < %(high)s AND s.hidden_at IS NULL
    GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Day:
    on: date
    messages: int


def coming_endings(tenant_id: UUID, policy: Policy) -> list[Day]:
    """About how many messages reach the end of their period on each of the coming days."""
    now = ids.now()
    period, today = policy.messages, now.astimezone(ZoneInfo(policy.zone)).date()
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "zone": policy.zone,
        "period": str(period),
        "low": ids.floor_id(now - timedelta(days=period.most_days + 2)),
        "high": ids.floor_id(now - timedelta(days=period.fewest_days - DAYS - 2)),
    }
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY, values)
        counts = dict(cursor.fetchall())
    return [Day(on, int(counts.get(on, 0))) for on in (today + timedelta(days=n) for n in range(DAYS))]
