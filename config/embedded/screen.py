"""What `up` shows: a live line with a spinner on a terminal, one plain line per step elsewhere."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

from config.embedded.exceptions import EmbeddedError


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Show nothing from now on; rich would end the process."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Screen:
    """Progress and messages of one `up`. A closed terminal stops the output, never the servers."""

    def __init__(self) -> None:
        self._out = _Console(highlight=False, soft_wrap=True, markup=False)
        self._err = _Console(highlight=False, soft_wrap=True, markup=False, stderr=True)
        self._live: Live | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show that something is under way, then that it is done and how long it took."""
        began = time.monotonic()
        if self._out.is_terminal:
            spinner = Spinner("dots", f"{name} ...")
            # Refreshed by `tick`, not by a thread: children are forked from a process with one thread.
            self._live = Live(spinner, console=self._out, auto_refresh=False, transient=True)
            self._live.start()
        try:
            yield
        finally:
            if self._live is not None:
                self._live.stop()
                self._live = None
        self.say(f"{name}: ready after {time.monotonic() - began:.1f} s")

    def tick(self) -> None:
        """Move the spinner."""
        if self._live is not None:
            self._live.refresh()

    def say(self, text: str, style: str | None = None) -> None:
        """A line or several."""
        with suppress(OSError):
            self._out.print(text, style=style)

    def refuse(self, error: EmbeddedError) -> None:
        """Why nothing runs, and what to do, on standard error."""
        with suppress(OSError):
            self._err.print(f"up: {error.problem}", style="bold red")
            if error.remedy:
                self._err.print(error.remedy)
