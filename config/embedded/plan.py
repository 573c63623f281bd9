"""Which servers an `up` starts itself, and the variables everything it starts is given."""

import http.client
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import redis

from config.embedded.folder import DataFolder
from config.embedded.milvus import MilvusServer
from config.embedded.options import Options
from config.embedded.postgres import PostgresServer, home_in, server_account
from config.embedded.process import free_port
from config.embedded.redis import RedisServer
from config.embedded.supervisor import Server

# Each listener of the event stream holds a thread; idle ones end after a while.
WEB_THREADS = 64
WORKER_THREADS = 4
MILVUS = "milvus"
_SERVERS = {"DATABASE_URL", "REDIS_URL", "BROKER_URL", "ELASTICSEARCH_URL", "MILVUS_URI"}


@dataclass(frozen=True)
class Plan:
    """The stores to be started (None: named elsewhere, or left out) and the variables to be kept."""

    postgres: PostgresServer | None
    redis: RedisServer | None
    milvus: MilvusServer | None
    kept: Mapping[str, str]

    def environ(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment of everything that is started."""
        frugal = {
            "PYTHONUNBUFFERED": "1",
            # Many threads with an arena of malloc's each would hold several times the memory they use.
            "MALLOC_ARENA_MAX": "2",
            # A search multiplies small matrices: threads that help with that wait longer for a core than it takes.
            "OPENBLAS_NUM_THREADS": "1",
            # What Milvus Lite has not flushed it copies for every search: of 300 vectors that takes 7 ms. Here is room
            # for 500; with room for half of them it writes by a quarter slower.
            "MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES": str(512 * 1024),
        }
        environ = {**frugal, **inherited, **self.kept, "DJANGO_SETTINGS_MODULE": "config.settings"}
        # Who wants no compiled modules beside the sources gets them elsewhere: without any, each of our processes would
        # compile some thousands at every start, and a server that died would be back twice as late.
        if environ.pop("PYTHONDONTWRITEBYTECODE", ""):
            environ.setdefault("PYTHONPYCACHEPREFIX", f"{self.kept['DATA_DIR']}/bytecode")
        return environ

    def stores(self) -> list[Server]:
        """The stores to be started, the record first."""
        found = []
        if self.postgres:
            found.append(
                Server(
                    name="postgresql",
                    command=self.postgres.command(),
                    is_ready=self.postgres.is_ready,
                    stop_signal=self.postgres.stop_signal,
                    stop_seconds=20,
                    account=self.postgres.account,
                    cwd=self.postgres.home,
                )
            )
        if self.redis:
            found.append(
                Server(
                    name="redis",
                    command=self.redis.command(),
                    is_ready=self.redis.is_ready,
                    stop_signal=self.redis.stop_signal,
                    stdin=self.redis.configuration(),
                )
            )
        if self.milvus:
            found.append(
                Server(
                    name=MILVUS,
                    command=self.milvus.command(),
                    is_ready=self.milvus.is_ready,
                    stop_signal=self.milvus.stop_signal,
                )
            )
        return found


def make_plan(options: Options, folder: DataFolder, environ: Mapping[str, str], documented: set[str]) -> Plan:
    """Decide what is started. Documented variables that are set are also kept for later commands."""
    before = folder.kept()
    sealing = folder.secrets(environ)
    account = server_account()
    postgres = None if environ.get("DATABASE_URL") else PostgresServer(home_in(folder.path, account), account)
    redis_server = (
        None if environ.get("REDIS_URL") else _redis(urlsplit(before.get("REDIS_URL", "")), options)
    )
    milvus = None
    if "MILVUS_URI" not in environ:
        port = _port(urlsplit(before.get("MILVUS_URI", "")))
        taken = [options.port, *([redis_server.port] if redis_server else [])]
        milvus = MilvusServer(folder.path / "milvus", free_port(port, taken))
    started = {
        **({"DATABASE_URL": postgres.url} if postgres else {}),
        **({"REDIS_URL": redis_server.url} if redis_server else {}),
        **({"MILVUS_URI": milvus.uri} if milvus else {}),
    }
    defaults = {
        "DEBUG": "false",
        "STATIC_FROM_PACKAGES": "true",
        # On loopback one person tries things out, who has no second person at hand and no authenticator yet.
        "REQUIRE_MFA": "false" if options.is_local else "true",
        "CLI_SECOND_PERSON": "true" if options.is_local else "false",
    }
    named = {name: environ[name] for name in (documented | _SERVERS | defaults.keys()) & environ.keys()}
    hosts = {"ALLOWED_HOSTS": ",".join(_host_names(options, environ.get("ALLOWED_HOSTS", "")))}
    kept = {**defaults, **named, **hosts, **started, **sealing, "DATA_DIR": str(folder.path)}
    return Plan(postgres, redis_server, milvus, kept)


def web_server(options: Options) -> Server:
    """Granian with one process: threads share its memory, and the work is PostgreSQL's."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--workers", "1"]
    command += ["--host", options.host, "--port", str(options.port)]
    command += ["--blocking-threads", str(WEB_THREADS), "--workers-kill-timeout", "5"]
    return Server(
        name="web",
        command=[*command, "config.wsgi:application"],
        is_ready=lambda: _answers(options.reachable_host, options.port, "/healthz"),
    )


def worker(folder: DataFolder, broker: str) -> Server:
    """One Celery worker that also keeps the schedule: a second one with -B would double it."""
    # Mirrors may lag a moment; requests on the same machine should not wait for them.
    command = [
        "nice",
        "-n",
        "10",
        sys.executable,
        "-m",
        "celery",
        "-A",
        "config.celery",
        "worker",
        "-B",
        "-P",
        "threads",
    ]
    command += ["-c", str(WORKER_THREADS), "-s", str(folder.path / "schedule"), "-l", "WARNING"]
    command += ["--without-gossip", "--without-mingle"]
    # Its child runs the schedule, and without it retention would silently stop.
    return Server("worker", command, is_ready=lambda: _worker_listens(broker), needs_children=True)


def _redis(before: SplitResult, options: Options) -> RedisServer:
    port = _port(before)
    password = before.password if port else None
    return RedisServer(free_port(port, [options.port]), password or secrets.token_urlsafe(24))


def _port(before: SplitResult) -> int | None:
    """The port a server had at the last start, taken again so that clients that know it keep working."""
    return before.port if before.hostname == "127.0.0.1" else None


def _host_names(options: Options, named: str) -> list[str]:
    """The names the web server answers to; this machine's own are always among them, for our own look at it."""
    names = ["127.0.0.1", "localhost", "[::1]", *filter(None, named.split(","))]
    if not named and not options.is_local:
        names += [socket.gethostname(), socket.getfqdn()]
        names += [options.host] if options.host == options.reachable_host else []
    return list(dict.fromkeys(names))


def _answers(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _worker_listens(broker: str) -> bool:
    """Whether a worker has subscribed to its mailbox, its last step. Other brokers than Redis are not asked."""
    if not broker.startswith(("redis://", "rediss://")):
        return True
    try:
        with redis.Redis.from_url(broker, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.pubsub_numpat())
    except redis.RedisError:
        return False
