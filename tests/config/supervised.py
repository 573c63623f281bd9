"""Run as a script by the tests of the supervisor: a parent with real servers, to be killed or stopped.

Arguments: a folder, then names. `plain` serves until told to stop, `deaf` ignores every polite signal, `family`
has a child and is deaf too, `strayed` has one in another session, `brief` ends at once with words on standard
error.
"""

import errno
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from config.embedded.exceptions import EmbeddedError
from config.embedded.supervisor import Server, StopRequested, Supervisor

DEAF = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]"
SOURCES = {
    "plain": "import time; {ready}; time.sleep(600)",
    "deaf": f"{DEAF}; {{ready}}; time.sleep(600)",
    "family": f"{DEAF}; import os; os.fork() or time.sleep(600); {{ready}}; time.sleep(600)",
    "strayed": f"{DEAF}; import os; os.fork() or [os.setsid(), time.sleep(600)]; {{ready}}; time.sleep(600)",
    "brief": "import sys; sys.exit('words at the end')",
}


def server(folder: Path, name: str) -> Server:
    """A server that is ready when it has touched a file named after its process."""
    kind = name.partition("-")[0]
    ready = f"import os, pathlib; pathlib.Path({str(folder)!r}, '{name}.' + str(os.getpid())).touch()"
    source = SOURCES[kind].format(ready=ready)
    return Server(
        name=name,
        command=[sys.executable, "-c", source],
        is_ready=lambda: any(folder.glob(f"{name}.[0-9]*")),
        stop_signal=signal.SIGTERM,
        stop_seconds=1,
    )


def say(text: str) -> None:
    """One line for the test that reads along."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(folder: Path, names: list[str]) -> int:
    """Serve until stopped; every word and every change of processes goes to standard output."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it, as nohup does
    logs = folder / "logs"
    logs.mkdir()

    def changed(processes: Mapping[str, int]) -> None:
        say(json.dumps(processes))
        if (folder / "full").exists():
            raise OSError(errno.ENOSPC, "No space left on device")

    supervisor = Supervisor(
        logs=logs,
        environ={},
        cwd=folder,
        say=say,
        guard_seconds=1,
        changed=changed,
    )
    try:
        with supervisor:
            for name in names:
                supervisor.start(server(folder, name))
            try:
                for name in names:
                    supervisor.wait_ready(name)
                say("all ready")
                supervisor.watch()
            except StopRequested:
                pass
    except EmbeddedError as error:
        say(f"{error.problem} {error.remedy}")
        return 1
    say("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
