"""Scrubbing: what a message of the demo takes, and what 64 KB of digits take that are written to be slow.

    uv run python -m benchmarks.scrubbing [--runs 7]

Processor time, the fastest of the runs. No pattern may take more than linear time; the slowest ones are those in which
every group of digits could begin a number, or is one.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.installation import ROOT
from conversations.pii import scrub

SIZE = 65_536  # characters
LIMIT_MS = 50
FULL_WIDTH = str.maketrans({digit: chr(ord(digit) + 0xFEE0) for digit in "0123456789"})
PATTERNS = (
    "1", "12 ", "123,", "4111 ", "0065 ", "1234 5678 ", "123 456 7890 ", " 5123 4567", "91234567,",
    "91234567 ".translate(FULL_WIDTH), "电话91234567", "phone 1234567 ", "5123 4567 6591234567 ", "4111111111111112 ",
    "4111 1111 1111 1112 ", "S1234567", "110101199001011237", "1.1.1.1 ", "2020-01-01 ", "+65",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    lines = [line for file in sorted(ROOT.glob("conversations/demo/data/*/*.txt")) for line in _lines(file)]
    ordinary = _fastest(lambda: [scrub(line) for line in lines], runs)
    print(f"{1000 * ordinary / len(lines):6.1f} us a message ({len(lines):,} of the demo)")
    slow = {pattern: _fastest(lambda p=pattern: scrub((p * SIZE)[:SIZE]), runs) for pattern in PATTERNS}
    for pattern, milliseconds in sorted(slow.items(), key=lambda one: -one[1]):
        print(f"{milliseconds:6.1f} ms for 64 KB of {pattern!r}")
    over = [pattern for pattern, milliseconds in slow.items() if milliseconds > LIMIT_MS]
    print(f"{len(over)} of {len(slow)} patterns take more than {LIMIT_MS} ms")


def _lines(file: Path) -> Sequence[str]:
    return [line for line in file.read_text().splitlines() if line]


def _fastest(work: Callable[[], object], runs: int) -> float:
    """Milliseconds of processor time."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
