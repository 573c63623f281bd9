"""An installation ends with whoever started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_benchmark_that_is_told_to_stop_leaves_no_server_behind() -> None:
    benchmark = subprocess.Popen(
        [sys.executable, "-c", "from benchmarks.installation import installation\nwith installation(): pass"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    up = eventually(lambda: children(benchmark.pid))[0]
    eventually(lambda: children(up))  # its servers are being started

    benchmark.send_signal(signal.SIGTERM)

    assert benchmark.wait(120) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(up, 0)
