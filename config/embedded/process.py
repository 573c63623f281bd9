"""Children that cannot outlive their parent, and the small facts about processes that need the kernel."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from config.embedded.exceptions import EmbeddedError

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Below the range from which Linux and macOS take the local ports of outgoing connections, so that nobody is
# given a server's port by chance while that server is being started again.
_SERVER_PORTS = range(15_000, 32_000)

# Loaded before any fork: between fork and exec a child must not take the dynamic loader's lock.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Account:
    """The operating system user that a server runs as."""

    name: str
    uid: int
    gid: int


def spawn(
    command: Sequence[str | os.PathLike[str]],
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
    log: IO[bytes] | None = None,
    output: IO[bytes] | None = None,
    stdin: IO[bytes] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
) -> "subprocess.Popen[bytes]":
    """A child in a process group of its own that receives `stop_signal` when its parent dies.

    The group keeps a terminal's Ctrl-C away from it: who starts servers also decides the order in which they
    stop. On Linux the kernel delivers the signal, and ties it to the *thread* that calls this: call it from
    one that lives as long as the process. Elsewhere only the guard ends orphans. What it writes goes to
    `log`, its standard output to `output` where that is given.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        # Runs after the user is changed, which would clear the setting. A shell that put us in the background
        # may have left SIGINT ignored, and an ignored signal stays ignored across exec.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=output or log,
        stderr=log,
        env=None if environ is None else dict(environ),
        cwd=cwd,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        process_group=0,
        preexec_fn=die_with_parent,
    )


def follow_parent(stop_signal: signal.Signals) -> None:
    """Ask the kernel to send this process `stop_signal` when its own parent dies (Linux only)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)


def adopt_orphans() -> None:
    """Make descendants whose parent died children of this process, so that it can find them (Linux only)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_alive(pid: int) -> bool:
    """Whether a process of that id exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def children(parent: int) -> set[int]:
    """The processes whose parent is that one now (Linux only; elsewhere none are found)."""
    entries = Path("/proc").glob("[0-9]*")
    return {int(entry.name) for entry in entries if _state_and_parent(int(entry.name))[1] == parent}


def is_living_child(pid: int, parent: int) -> bool:
    """Whether a process still runs as that one's child (Linux only)."""
    state, its_parent = _state_and_parent(pid)
    return its_parent == parent and state != "Z"


def command_name(pid: int) -> str:
    """The name of a process's program; empty where that cannot be told."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def free_port(preferred: int | None = None, taken: Collection[int] = ()) -> int:
    """A loopback port nothing listens on and nobody has `taken`: the preferred one if it is free."""
    candidates = [preferred] if preferred else []
    for port in [*candidates, *random.sample(_SERVER_PORTS, 50)]:
        if port not in taken and bind_error("127.0.0.1", port) is None:
            return port
    raise EmbeddedError("No free port was found on 127.0.0.1.")


def bind_error(host: str, port: int) -> OSError | None:
    """Why a server could not listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def port_answers(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        # "pid (name) state parent ...": a name may hold anything, parentheses too.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[1])
