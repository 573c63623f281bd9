"""Progress of long work: a bar on a terminal, a line each quarter elsewhere, nothing for `--json`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

Advance = Callable[[str, int, int], None]
"""What is at work, how much is done, and about how much there is."""


@contextmanager
def watching(write: Callable[[str], object] | None) -> Iterator[Advance]:
    """A function to call as work advances; `write` of None shows nothing."""
    if write is None:
        yield lambda what, done, total: None
    elif sys.stdout.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            yield _Bars(progress)
    else:
        yield _Lines(write)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._bars[what], completed=done, total=total)


class _Lines:
    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._quarters: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        quarter = 4 * done // max(total, 1)
        if quarter > self._quarters.get(what, 0):
            self._quarters[what] = quarter
            self._write(f"{what}: {done} of about {total}")
