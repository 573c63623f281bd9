"""Real servers for tests: started once per session when first asked for, gone when the session is.

`DATABASE_URL`, `REDIS_URL`, `MILVUS_URI` and `ELASTICSEARCH_URL` of the environment are used as they are.
The addresses of our own are chosen at import and cost nothing until a fixture starts what they name, so that
settings may be read first: see `name_servers`.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from signal import Signals

import httpx
import psycopg
import pytest

from config.embedded.milvus import MilvusServer
from config.embedded.postgres import PostgresServer, server_account
from config.embedded.process import Account, free_port, is_alive, spawn
from config.embedded.redis import RedisServer

_MEMORY = Path("/dev/shm")
_PREFIX = "remembrancer-tests-"
_BASE = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
HOME = _BASE / f"{_PREFIX}{os.getpid()}"

POSTGRES = PostgresServer(home=HOME / "postgresql", account=server_account(), durable=False)
REDIS = RedisServer(port=free_port())
MILVUS = MilvusServer(home=HOME / "milvus", port=free_port(taken=[REDIS.port]))


def name_servers(environ: MutableMapping[str, str]) -> None:
    """Set the variables that are unset to the addresses where the fixtures below will start servers."""
    environ.setdefault("DATABASE_URL", POSTGRES.url)
    environ.setdefault("REDIS_URL", REDIS.url)
    environ.setdefault("MILVUS_URI", MILVUS.uri)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL where the login role is superuser; nothing survives a crash of the machine."""
    if _is_foreign("DATABASE_URL", POSTGRES.url):
        yield os.environ["DATABASE_URL"]
        return
    _make_home()
    POSTGRES.prepare()
    with _Running(
        POSTGRES.command(),
        POSTGRES.is_ready,
        POSTGRES.stop_signal,
        account=POSTGRES.account,
        cwd=POSTGRES.home,
    ):
        POSTGRES.ensure_database()
        yield POSTGRES.url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of database 0 of a Redis; the databases up to 15 are there too."""
    if _is_foreign("REDIS_URL", REDIS.url):
        yield os.environ["REDIS_URL"]
        return
    _make_home()
    with _Running(REDIS.command(), REDIS.is_ready, REDIS.stop_signal, stdin=REDIS.configuration(), cwd=HOME):
        yield REDIS.url


@pytest.fixture(scope="session")
def milvus_server() -> Iterator[str]:
    """The URI of a Milvus Lite in server mode."""
    if _is_foreign("MILVUS_URI", MILVUS.uri):
        yield os.environ["MILVUS_URI"]
        return
    _make_home()
    MILVUS.prepare()
    with _Running(MILVUS.command(), MILVUS.is_ready, MILVUS.stop_signal):
        yield MILVUS.uri


@pytest.fixture(scope="session")
def elasticsearch_url() -> str:
    """The URL of a real Elasticsearch 9: use index names of your own, and delete them."""
    if named := os.environ.get("ELASTICSEARCH_URL"):
        return named
    usual = "http://127.0.0.1:9200"
    try:
        httpx.get(usual, timeout=2).raise_for_status()
    except httpx.HTTPError:
        pytest.skip(
            "no Elasticsearch: set ELASTICSEARCH_URL, or start one with `docker compose up -d elasticsearch` "
            f"(any 9.x that answers on {usual} is used)"
        )
    return usual


def administrator() -> "psycopg.Connection[tuple[object, ...]]":
    """A connection of the login itself, outside transactions: to make and drop databases."""
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


class _Running:
    """A server for the length of a `with` block."""

    def __init__(
        self,
        command: Sequence[str],
        is_ready: Callable[[], bool],
        stop_signal: Signals,
        *,
        stdin: bytes | None = None,
        account: Account | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command, self.is_ready, self.stop_signal = command, is_ready, stop_signal
        self.stdin, self.account, self.cwd = stdin, account, cwd
        self.log = HOME / f"{Path(command[0]).name}-{len(list(HOME.iterdir()))}.log"

    def __enter__(self) -> "_Running":
        with tempfile.TemporaryFile() as stdin, self.log.open("wb") as log:
            stdin.write(self.stdin or b"")
            stdin.seek(0)
            self.process = spawn(
                self.command,
                stop_signal=self.stop_signal,
                log=log,
                stdin=stdin,
                account=self.account,
                cwd=self.cwd,
            )
        deadline = time.monotonic() + 60
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                pytest.fail(
                    f"{self.command[0]} did not start:\n{self.log.read_text()[-2000:]}", pytrace=False
                )
            time.sleep(0.05)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _is_foreign(variable: str, ours: str) -> bool:
    return os.environ.get(variable, ours) != ours


def _make_home() -> None:
    """Make the session's folder, and remove those of sessions that were killed."""
    if HOME.exists():
        return
    for left in _BASE.glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX)
        if owner.isdigit() and not is_alive(int(owner)) and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
    HOME.mkdir(mode=0o711)
    maker = os.getpid()
    atexit.register(lambda: os.getpid() == maker and shutil.rmtree(HOME, ignore_errors=True))
