"""Ends what `up` started when `up` itself is gone without having stopped it: a script that needs only Python.

It reads lines `+<process group> <signal>` and `-<process group>` from standard input, which closes when
`up` dies by whatever means. Its arguments are a `NAME=value` that all `up` starts has in its environment,
and the seconds it lets them stop by themselves. It is run by path and not as a module, so that it stays as
small as an interpreter can be.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

# On Linux the kernel has sent the stop signals by then; a second one would cut a clean shutdown short.
KERNEL_SIGNALS_ORPHANS = sys.platform == "linux"


def main(mark: str, patience: float) -> None:
    """Wait for the end of standard input, then see that every group left is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    groups = _follow(sys.stdin)
    if not KERNEL_SIGNALS_ORPHANS:
        for group, stop_signal in reversed(groups.items()):
            _signal(group, stop_signal)
    deadline = time.monotonic() + patience
    while any(map(_exists, groups)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for group in groups:
        _signal(group, signal.SIGKILL)
    for stray in _marked(mark):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(stray, signal.SIGKILL)


def _follow(lines: Iterable[str]) -> dict[int, int]:
    groups: dict[int, int] = {}
    for line in lines:
        change, rest = line[0], line[1:].split()
        if change == "+":
            groups[int(rest[0])] = int(rest[1])
        else:
            groups.pop(int(rest[0]), None)
    return groups


def _marked(mark: str) -> list[int]:
    """Processes that were started with the mark in their environment, in whatever group they are now (Linux)."""
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else []:
        with suppress(OSError, ValueError), open(f"/proc/{int(entry)}/environ", "rb") as environ:
            if mark.encode() in environ.read().split(b"\0"):
                found.append(int(entry))
    return found


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
