"""A monotonic clock, the uptime of this machine, which tells a jump of the wall clock from time passing."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from django.db import connection

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class SteadyReading:
    """Seconds since a boot. Readings of different boots say nothing about each other."""

    boot_id: str
    uptime: float


def read_steady_clock() -> SteadyReading | None:
    """Seconds since boot; None where the system has no boot id."""
    if not _boot_id():
        return None
    return SteadyReading(_boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))


def earliest_now(
    now: datetime, *, before: datetime | None = None, then: SteadyReading | None = None
) -> datetime:
    """The earliest of the clocks that can be asked: ours, the database's, and an earlier reading plus the time since.

    `before` is what our clock said when the steady one said `then`.
    """
    clocks = [now, database_now()]
    steady = read_steady_clock()
    if before is not None and then is not None and steady is not None and then.boot_id == steady.boot_id:
        clocks.append(before + timedelta(seconds=steady.uptime - then.uptime))
    return min(clocks)


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        at: datetime = cursor.fetchone()[0]
    return at


@cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
