"""Gauges for purges: overdue records and successful runs."""

from collections.abc import Iterator

from conversations import ids
from conversations.api.metrics import Reading
from retention.services.purges.watchdog import watch


def read_promises() -> Iterator[Reading]:
    """Records past their end, their age, and when purges last succeeded, by class."""
    now = ids.now()
    for one in watch():
        labels = {"class": one.record_class.value}
        age = (now - one.overdue_since).total_seconds() if one.overdue_since else 0.0
        yield Reading(
            "remembrancer_retention_overdue_records",
            "Records past their end that neither a hold nor a law keeps.",
            one.overdue,
            labels,
        )
        yield Reading(
            "remembrancer_retention_overdue_seconds",
            "How long the oldest of them has been past its end.",
            age,
            labels,
        )
        yield Reading(
            "remembrancer_purge_last_success_timestamp_seconds",
            "When the tenant that waits longest was last purged with success; 0 while one never was.",
            one.purged_at.timestamp() if one.purged_at else 0.0,
            labels,
        )
        yield Reading(
            "remembrancer_purge_stopped_runs",
            "Purges that the fuse stopped and a person has to confirm.",
            one.stopped,
            labels,
        )
