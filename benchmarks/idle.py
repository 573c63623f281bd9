"""What an installation costs that does nothing: seconds until it is ready, and memory while nobody asks.

    uv run python -m benchmarks.idle [--seconds 60]

Starts `up` in an empty folder, then again in the same. Memory is the proportional set size (what is shared is divided
among those who share it) of every process below `up`, after so many seconds without a request.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.installation import Installation, started

PROC = Path("/proc")
READY_SECONDS, MEBIBYTES = 30, 1_200


def descendants(pid: int) -> list[int]:
    """The process and all below it."""
    children = defaultdict(list)
    for status in PROC.glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything, brackets too.
            parent = status.read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            continue
        children[int(parent)].append(int(status.parent.name))
    found = [pid]
    for each in found:
        found += children[each]
    return found


def memory(pid: int) -> float:
    """Proportional set size in MiB; 0 when it has ended."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def report(installed: Installation) -> float:
    """Print the memory of each server, and give that of everything, in MiB."""
    everything = descendants(installed.pid)
    total, rest = sum(map(memory, everything)), set(everything)
    for name, pid in installed.processes().items():
        mine = descendants(pid)
        rest -= set(mine)
        print(f"  {name:<12} {sum(map(memory, mine)):7.0f} MiB in {len(mine)} processes")
    print(f"  {'up':<12} {sum(map(memory, rest)):7.0f} MiB")
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="remembrancer-idle-") as folder:
        for occasion in ("in an empty folder", "once more"):
            with started(Path(folder)) as installed:
                print(f"{occasion}: ready after {installed.ready_after:.1f} s (goal {READY_SECONDS} s)")
                time.sleep(options.seconds)
                print(f"  {'together':<12} {report(installed):7.0f} MiB (goal {MEBIBYTES:,} MiB)", flush=True)


if __name__ == "__main__":
    main()
