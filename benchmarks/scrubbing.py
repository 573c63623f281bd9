"""Scrubbing: what a message of the demo takes, and what 64 KB of digits take that are written to be slow.

Each pattern is measured as it stands, repeated, and with other digits at every place: numbers that recur are read once.

    uv run python -m benchmarks.scrubbing [--runs 7]

Processor time, the fastest of the runs. No pattern may take more than linear time; the slowest ones are those in which
every group of digits could begin a number, or is one.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.installation import ROOT
from conversations.pii import scrub

SIZE = 65_536  # characters
LIMIT_MS = 50
SEED = 64
DIGITS = "0123456789"
FULL_WIDTH = str.maketrans({digit: chr(ord(digit) + 0xFEE0) for digit in DIGITS})
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
    repeated = {pattern: (pattern * SIZE)[:SIZE] for pattern in PATTERNS}
    _measure("the same digits", repeated, runs)
    _measure(
        "random digits", {pattern: _with_random_digits(text) for pattern, text in repeated.items()}, runs
    )


def _measure(digits: str, texts: dict[str, str], runs: int) -> None:
    slow = {pattern: _fastest(lambda t=text: scrub(t), runs) for pattern, text in texts.items()}
    for pattern, milliseconds in sorted(slow.items(), key=lambda one: -one[1]):
        print(f"{milliseconds:6.1f} ms for 64 KB of {pattern!r}, {digits}")
    over = sum(milliseconds > LIMIT_MS for milliseconds in slow.values())
    print(f"{over} of {len(slow)} patterns take more than {LIMIT_MS} ms with {digits}")


def _with_random_digits(text: str) -> str:
    """The text in the same shape and script; the same one each time."""
    source = random.Random(SEED)
    digits = re.sub("[0-9]", lambda _: source.choice(DIGITS), text)
    return re.sub("[０-９]", lambda _: source.choice(DIGITS).translate(FULL_WIDTH), digits)


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
