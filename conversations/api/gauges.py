"""The gauges of the core, read at each scrape."""

from collections.abc import Iterable

from conversations.api.metrics import Reading
from conversations.services.mirrors.status import mirror_status
from conversations.services.operations.partitions import default_rows


def read_mirror() -> Iterable[Reading]:
    """How far the mirrors are behind, over all tenants."""
    status = mirror_status()
    yield Reading(
        "remembrancer_mirror_pending", "Events that a store in use has not acknowledged.", status.pending
    )
    yield Reading("remembrancer_mirror_parked", "Events set aside after five attempts.", status.parked)
    yield Reading("remembrancer_mirror_lag_seconds", "Age of the oldest pending event.", status.lag_seconds)


def read_partitions() -> Iterable[Reading]:
    """Rows in DEFAULT partitions: `ensure_partitions` does not run, or a clock is wrong."""
    for table, rows in default_rows().items():
        yield Reading(
            "remembrancer_default_partition_rows",
            "Rows in the DEFAULT partition, where none should be.",
            rows,
            {"table": table},
        )
