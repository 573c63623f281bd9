"""A whole `manage.py up` in a folder of its own, for the length of a benchmark."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from config.embedded.environment import read
from config.embedded.process import free_port

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Installation:
    folder: Path
    url: str
    key: str
    inherited: Mapping[str, str]
    pid: int
    ready_after: float
    """Seconds."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What its own processes see."""
        return {**self.inherited, **read(self.folder / "environment")}

    def manage(self, *arguments: str) -> str:
        """The standard output of one of its commands."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def json(self, *arguments: str) -> Any:
        """What one of its commands prints with `--json`, whatever its exit status."""
        command = [sys.executable, "manage.py", *arguments, "--json"]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        if not done.stdout.strip():
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout)

    def processes(self) -> dict[str, int]:
        """Each server's pid."""
        return json.loads((self.folder / "processes.json").read_text())


@contextmanager
def installation(
    without: Collection[str] = (), *, demo: bool = False, **environment: str
) -> Iterator[Installation]:
    """Started and ready in a folder of its own; stopped and removed afterwards.

    `environment` overrides what `up` would set; it does not see our own variables named in `without`.
    """
    with (
        tempfile.TemporaryDirectory(prefix="remembrancer-bench-") as folder,
        started(Path(folder), without, demo=demo, **environment) as installed,
    ):
        yield installed


@contextmanager
def started(
    folder: Path, without: Collection[str] = (), *, demo: bool = False, **environment: str
) -> Iterator[Installation]:
    """As `installation`, in a folder that stays."""
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    port = free_port()
    command = [sys.executable, "manage.py", "up", "--data", str(folder), "--port", str(port)]
    command += ["--demo"] if demo else []
    log = folder / "up.log"
    began = time.monotonic()
    _leave_by_way_of_finally()
    with log.open("wb") as output:
        up = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**inherited, "THROTTLE_RATE": "1000000/s", **environment},
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, up, log)
        ready_after = time.monotonic() - began
        credentials = json.loads((folder / "credentials.json").read_text())
        yield Installation(folder, url, credentials["api_key"], inherited, up.pid, ready_after)
    finally:
        up.terminate()
        up.wait(60)


def _leave_by_way_of_finally() -> None:
    """Let SIGTERM end this process as an exception does, or `up` would go on without it."""
    if current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def _wait(url: str, up: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 600
    while b"is ready" not in log.read_bytes():
        if up.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"`up` did not start:\n{log.read_text()}")
        time.sleep(0.2)
    urllib.request.urlopen(f"{url}/readyz", timeout=5)
