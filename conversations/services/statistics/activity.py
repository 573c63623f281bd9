"""Recent activity by day and by kind, from the counters of sessions instead of counting messages."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.db import connection

from conversations import ids

DAYS = 30

# All of a session's messages count for the day it began.
_BY_DAY_AND_KIND = """
    SELECT (s.created_at AT TIME ZONE 'UTC')::date, coalesce(s.channel, ''), coalesce(s.language, ''),
           sum(s.message_count)
    FROM conversations_session s
    WHERE s.tenant_id = %(tenant)s AND s.id >= %(low)s AND s.hidden_at IS NULL
    GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class Activity:
    """Messages of the last days: (day, count) without gaps, and counts by channel and by language."""

    days: Sequence[tuple[date, int]]
    channels: Sequence[tuple[str, int]]
    languages: Sequence[tuple[str, int]]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.days)


def read_activity(tenant_id: UUID) -> Activity:
    """Runs inside a tenant scope."""
    today = ids.now().date()
    first = today - timedelta(days=DAYS - 1)
    by_day: Counter[date] = Counter()
    by_channel: Counter[str] = Counter()
    by_language: Counter[str] = Counter()
    with connection.cursor() as cursor:
        since = ids.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
        cursor.execute(_BY_DAY_AND_KIND, {"tenant": tenant_id, "low": ids.floor_id(since)})
        for day, channel, language, count in cursor.fetchall():
            by_day[day] += count
            by_channel[channel] += count
            by_language[language] += count
    return Activity(
        days=[(day, by_day[day]) for day in (first + timedelta(days=n) for n in range(DAYS))],
        channels=by_channel.most_common(),
        languages=by_language.most_common(),
    )
