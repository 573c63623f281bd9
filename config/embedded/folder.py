"""The data folder of an `up`: who holds it, its secrets, its credentials, the processes that serve it."""

import base64
import fcntl
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.embedded.environment import ENVIRONMENT_FILE, LOCK_FILE, read, write_private
from config.embedded.exceptions import EmbeddedError
from config.embedded.process import is_alive

# The guard of an `up` that was killed holds the lock until it has ended what was left.
GUARD_SECONDS = 15.0


class DataFolder:
    """One data folder, locked by this process from `hold` until the process and its guard end."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.environment = self.path / ENVIRONMENT_FILE
        self.credentials_file = self.path / "credentials.json"
        self.processes_file = self.path / "processes.json"

    def hold(self) -> int:
        """Make the folder and lock it; the lock's descriptor. EmbeddedError when another `up` holds it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedError(
                f"{self.path} cannot be used: {error.strerror}.", "Choose another with --data DIR."
            ) from error
        deadline = time.monotonic() + GUARD_SECONDS
        while not _try_lock(lock):
            holder = int(os.pread(lock, 20, 0) or b"0")
            if is_alive(holder) or time.monotonic() > deadline:
                raise EmbeddedError(
                    f"Another `up` (process {holder}) runs on {self.path}.",
                    f"Stop it with `kill {holder}`, or choose another --data and --port.",
                )
            time.sleep(0.2)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock

    def kept(self) -> dict[str, str]:
        """The variables of the last start; empty before the first."""
        return read(self.environment) if self.environment.exists() else {}

    def secrets(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The installation's secrets: the environment's, else those kept here, else new at a first start.

        EmbeddedError when the keys are gone but what they sealed is not.
        """
        known = self.kept() | {name: value for name, value in environ.items() if value}
        new = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "MASTER_KEYS": f"k{time.strftime('%Y%m%d', time.gmtime())}:{_random_key()}",
            "SIGNING_KEY": _random_key(),
        }
        missing = ", ".join(sorted(new.keys() - known.keys()))
        if missing and os.path.lexists(self.path / "postgresql"):
            raise EmbeddedError(
                f"{self.environment} lacks {missing}, but the database here was sealed with it.",
                "Put the file back; without the keys nothing can be read. "
                f"To begin anew, set {self.path} aside.",
            )
        return {name: known.get(name, value) for name, value in new.items()}

    def write_processes(self, processes: Mapping[str, int]) -> None:
        """Name each server's process for who wants to look at it or to kill it."""
        write_private(self.processes_file, json.dumps(processes, indent=2) + "\n")

    def read_credentials(self) -> dict[str, Any]:
        """What the first start wrote; empty before it."""
        if not self.credentials_file.exists():
            return {}
        found: dict[str, Any] = json.loads(self.credentials_file.read_bytes())
        return found

    def write_credentials(self, credentials: Mapping[str, Any]) -> None:
        """Keep what only the person who started this may read."""
        write_private(self.credentials_file, json.dumps(credentials, indent=2, ensure_ascii=False) + "\n")


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
