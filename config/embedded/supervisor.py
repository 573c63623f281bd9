"""Starts servers, starts them again when they die, and stops them in reverse order.

One thread does everything, because the kernel ties a child's fate to the thread that forked it: all waiting
happens in `pause`, which also looks after the servers.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from config.embedded import guard
from config.embedded.exceptions import EmbeddedError
from config.embedded.process import Account, adopt_orphans, children, is_living_child, spawn

TICK_SECONDS = 0.1
FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 5.0
# A server that has run this long has recovered: its next exit counts as the first one again.
RECOVERED_SECONDS = 60.0
ATTEMPTS_AT_START = 3
LARGEST_LOG = 10 * 1024 * 1024
CHORES_SECONDS = 2.0
# What everything started here has in its environment, so that the guard knows it even in another session.
_MARK = "REMEMBRANCER_UP"


@dataclass(frozen=True)
class Server:
    """How to start one server, how to tell that it serves, and how it likes to be stopped."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    start_seconds: float = 90.0
    stdin: bytes = b""
    account: Account | None = None
    cwd: Path | None = None
    # It does not notice by itself when a child it had when it became ready dies: then all of it starts anew.
    needs_children: bool = False


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


@dataclass
class _Running:
    server: Server
    process: "subprocess.Popen[bytes]"
    started: float
    is_ready: bool = False
    deaths: int = 0
    # When a dead one is started again.
    due: float | None = None
    members: frozenset[int] = frozenset()


@dataclass
class Supervisor:
    """The servers of one `up`: use it as a context, which stops them all at its end.

    `changed` is told every change of name and process id, `say` what a person should know, and `tick` is
    called while anybody waits. `environ` and `cwd` are the servers' own, `logs` is the folder of their logs.
    """

    logs: Path
    environ: Mapping[str, str]
    cwd: Path
    say: Callable[[str], None]
    changed: Callable[[Mapping[str, int]], None] = lambda processes: None
    tick: Callable[[], None] = lambda: None
    # Files that stay open until the last server is gone, however we end: the lock of the data folder.
    held_files: Sequence[int] = ()
    # How long servers may take to stop by themselves when we are killed.
    guard_seconds: float = 8.0
    _running: dict[str, _Running] = field(default_factory=dict)
    _tasks: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    _mark: str = field(default_factory=lambda: secrets.token_hex(8))
    _stop_requested: float | None = None
    _is_hurried: bool = False
    _chores_done: float = 0.0

    def __enter__(self) -> "Supervisor":
        adopt_orphans()
        self._guard = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", guard.__file__, f"{_MARK}={self._mark}", str(self.guard_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self.held_files,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup a closing terminal is to be survived; a shell's `&` ignores SIGINT, which we do not.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._request_stop)
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self, server: Server) -> None:
        """Start a server without waiting for it."""
        log = self.logs / f"{server.name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        try:
            self._running[server.name] = _Running(server, self._spawn(server), time.monotonic())
        except OSError as error:
            raise EmbeddedError(f"{server.name} could not be started: {error}.") from error
        self._tell()

    def wait_ready(self, name: str) -> None:
        """Return when a server serves; EmbeddedError with the end of its log when it does not."""
        running = self._running[name]
        deadline = time.monotonic() + running.server.start_seconds
        while not running.is_ready:
            if running.deaths >= ATTEMPTS_AT_START:
                raise EmbeddedError(f"{name} did not start.", self._end_of_log(name))
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{name} did not answer within {running.server.start_seconds:.0f} s.",
                    self._end_of_log(name),
                )
            self.pause()

    def run(self, name: str, command: Sequence[str], *, shown: bool = False) -> bytes:
        """Run a command to its end and return its standard output; EmbeddedError when it fails.

        A `shown` command writes to our own standard output instead, and nothing is returned.
        """
        log = self.logs / f"{name}.log"
        with tempfile.TemporaryFile() as output, log.open("ab") as errors:
            task = spawn(
                command,
                environ={**self.environ, _MARK: self._mark},
                cwd=self.cwd,
                output=None if shown else output,
                log=None if shown else errors,
            )
            self._tasks[task.pid] = task
            self._guard_line(f"+{task.pid} {int(signal.SIGTERM)}")
            try:
                while task.poll() is None:
                    self.pause()
            finally:
                self._end(task, signal.SIGTERM, 5)
                del self._tasks[task.pid]
            if task.returncode:
                raise EmbeddedError(
                    f"{name} failed with exit status {task.returncode}.",
                    "" if shown else self._end_of_log(name),
                )
            output.seek(0)
            return output.read()

    def watch(self) -> None:
        """Look after the servers until somebody wants them stopped."""
        with suppress(StopRequested):
            while True:
                self.pause()

    def pause(self) -> None:
        """Wait a moment, in which dead servers are started again; StopRequested when it is time to go."""
        if self._stop_requested is not None:
            raise StopRequested
        time.sleep(TICK_SECONDS)
        for running in self._running.values():
            self._look_after(running)
        if time.monotonic() - self._chores_done > CHORES_SECONDS:
            self._chores_done = time.monotonic()
            self._shorten_logs()
            self._end_the_incomplete()
        self.tick()

    def stop(self) -> None:
        """Stop every server, the last one started first."""
        while self._running:
            _, running = self._running.popitem()
            self._end(running.process, running.server.stop_signal, running.server.stop_seconds)
            self._tell()
        with suppress(OSError):
            self._guard.stdin.close()  # type: ignore[union-attr]
        self._guard.wait()

    def _spawn(self, server: Server) -> "subprocess.Popen[bytes]":
        with tempfile.TemporaryFile() as stdin, (self.logs / f"{server.name}.log").open("ab") as log:
            stdin.write(server.stdin)
            stdin.seek(0)
            process = spawn(
                server.command,
                stop_signal=server.stop_signal,
                log=log,
                stdin=stdin,
                environ={**self.environ, _MARK: self._mark},
                cwd=server.cwd or self.cwd,
                account=server.account,
            )
        self._guard_line(f"+{process.pid} {int(server.stop_signal)}")
        return process

    def _look_after(self, running: _Running) -> None:
        if running.due is not None:
            if time.monotonic() >= running.due:
                self._restart(running)
        elif running.process.poll() is not None:
            self._handle_exit(running)
        elif not running.is_ready and running.server.is_ready():
            running.is_ready = True
            if running.server.needs_children:
                running.members = frozenset(children(running.process.pid))
            if running.deaths:
                self.say(f"{running.server.name} is back (process {running.process.pid}).")

    def _handle_exit(self, running: _Running) -> None:
        """Record that a server exited, kill what it left behind, and schedule its restart."""
        self._sweep(running.process)
        if running.is_ready:
            cause = _describe(running.process.returncode)
            self.say(f"{running.server.name} died ({cause}); starting it again.")
        if time.monotonic() - running.started > RECOVERED_SECONDS:
            running.deaths = 0
        running.is_ready, running.members = False, frozenset()
        self._postpone(running)
        self._tell()

    def _restart(self, running: _Running) -> None:
        try:
            running.process = self._spawn(running.server)
        except OSError as error:  # no memory or no process to be had: that may pass
            self.say(f"{running.server.name} could not be started: {error}.")
            self._postpone(running)
            return
        running.started, running.due = time.monotonic(), None
        self._tell()

    def _postpone(self, running: _Running) -> None:
        running.deaths += 1
        delay = min(FIRST_DELAY_SECONDS * 2 ** (running.deaths - 1), LONGEST_DELAY_SECONDS)
        running.due = time.monotonic() + delay

    def _end(self, process: "subprocess.Popen[bytes]", stop_signal: signal.Signals, patience: float) -> None:
        if process.poll() is None:
            process.send_signal(stop_signal)
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline and not self._is_hurried:
            time.sleep(0.02)
        self._sweep(process)

    def _sweep(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill a server's whole group, and its descendants outside it that came to us as orphans."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._guard_line(f"-{process.pid}")
        known = {running.process.pid for running in self._running.values()} | {*self._tasks, self._guard.pid}
        for orphan in children(os.getpid()) - known:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)

    def _tell(self) -> None:
        # Whoever keeps the names may have no room for them; the servers matter more.
        with suppress(OSError):
            self.changed({n: r.process.pid for n, r in self._running.items() if r.process.returncode is None})

    def _guard_line(self, line: str) -> None:
        with suppress(OSError):  # the guard may be killed like any other process
            self._guard.stdin.write(line.encode() + b"\n")  # type: ignore[union-attr]
            self._guard.stdin.flush()  # type: ignore[union-attr]

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stop_requested is None:
            self._stop_requested = now
        # `uv run` hands on what the terminal has already sent, so only a later Ctrl-C is a second one.
        elif number == signal.SIGINT and now - self._stop_requested > 1:
            self._is_hurried = True

    def _end_of_log(self, name: str) -> str:
        log = self.logs / f"{name}.log"
        with suppress(OSError):
            lines = log.read_bytes()[-8000:].decode(errors="replace").splitlines()
            return "\n".join([f"The end of {log}:", *(f"  {line}" for line in lines[-20:])])
        return ""

    def _end_the_incomplete(self) -> None:
        for running in self._running.values():
            if not all(is_living_child(member, running.process.pid) for member in running.members):
                running.process.send_signal(running.server.stop_signal)
                running.members = frozenset()

    def _shorten_logs(self) -> None:
        """Move what is in a large log aside; its writer appends, and so goes on at the new end."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LARGEST_LOG:
                with suppress(OSError):  # no room for the copy: the next time
                    shutil.copyfile(log, log.with_suffix(".log.1"))
                    os.truncate(log, 0)


def _describe(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
