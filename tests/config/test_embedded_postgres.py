"""The embedded PostgreSQL: made once, opened again, refused when it is another's."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from config.embedded import postgres
from config.embedded.exceptions import EmbeddedError
from config.embedded.postgres import PostgresServer, find_binaries, home_in, left_behind, server_account
from config.embedded.process import Account, spawn

as_root = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can become another user: run the tests as root"
)
NOBODY = Account("nobody", 65534, 65534)


@pytest.fixture
def folder():
    """A folder the server's user may reach, which pytest's own are not when we are root."""
    path = Path(tempfile.mkdtemp(prefix="remembrancer-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Started:
    """A PostgreSQL for the length of a `with` block."""

    def __init__(self, server):
        self.server = server
        self.log = server.home.parent / "log"

    def __enter__(self):
        self.server.prepare()
        with self.log.open("ab") as log:
            self.process = spawn(
                self.server.command(), log=log, account=self.server.account, cwd=self.server.home
            )
        deadline = time.monotonic() + 60
        while not self.server.is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.server.ensure_database()
        return self

    def __exit__(self, *exception):
        self.process.send_signal(self.server.stop_signal)
        self.process.wait(timeout=60)


def test_committed_rows_survive_a_killed_server(folder):
    server = PostgresServer(folder / "postgresql", server_account())
    with Started(server) as started, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        connection.commit()
        started.process.send_signal(signal.SIGKILL)
        started.process.wait()
    time.sleep(0.5)

    with Started(server), psycopg.connect(server.url) as connection:
        rows = connection.execute("SELECT one FROM kept").fetchall()

    assert rows == [(1,)]


def test_log_holds_nothing_that_was_said(folder):
    server = PostgresServer(folder / "postgresql", server_account(), durable=False)

    with Started(server) as started, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE said (text text PRIMARY KEY)")
        connection.execute("INSERT INTO said VALUES ('my secret')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO said VALUES (%s)", ["my secret"])
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("SELECT 'my secret'::int")

    words = started.log.read_text()
    assert "ready to accept connections" in words
    assert "my secret" not in words


def test_folder_may_have_any_name(folder):
    server = PostgresServer(folder / "a b & 數據 %20" / "postgresql", server_account(), durable=False)

    with Started(server), psycopg.connect(server.url) as connection:
        connection.execute("SELECT 1")

    assert server.sockets.parent == server.home


@pytest.mark.parametrize("name", ["long" * 30, "a,b"])
def test_socket_that_could_not_be_named_lies_elsewhere_and_is_private(folder, name):
    server = PostgresServer(folder / name / "postgresql", server_account(), durable=False)

    with Started(server), psycopg.connect(server.url) as connection:
        connection.execute("SELECT 1")

    assert server.sockets.parent == Path(tempfile.gettempdir())
    assert server.sockets.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(server.sockets)


def test_data_of_another_major_is_refused_and_untouched(folder):
    server = PostgresServer(folder / "postgresql", server_account())
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("16\n")
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in sorted(folder.rglob("*"))]

    with pytest.raises(EmbeddedError, match="PostgreSQL 16, and this is PostgreSQL 18") as refusal:
        server.prepare()

    assert "backup" in refusal.value.remedy
    assert [(path, path.stat().st_mode, path.stat().st_uid) for path in sorted(folder.rglob("*"))] == before


def test_interrupted_initdb_is_begun_anew(folder):
    server = PostgresServer(folder / "postgresql", server_account(), durable=False)
    unfinished = server.home / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    server.prepare()

    assert (server.data / "PG_VERSION").exists()
    assert not unfinished.exists()


def test_ordinary_user_keeps_the_server_in_the_folder(tmp_path):
    assert home_in(tmp_path, None) == tmp_path / "postgresql"


def test_root_keeps_the_server_where_nobody_may_enter(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "ROOT_HOME", tmp_path / "lib")
    folder = tmp_path / "data"
    folder.mkdir()

    home = home_in(folder, NOBODY)

    assert home.parent == tmp_path / "lib"
    assert (folder / "postgresql").readlink() == home
    assert home_in(folder, NOBODY) == home


def test_new_folder_never_opens_what_an_earlier_one_left(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "ROOT_HOME", tmp_path / "lib")
    folder = tmp_path / "data"
    folder.mkdir()
    left = home_in(folder, NOBODY)
    left.mkdir(parents=True)
    (left / "theirs").touch()
    (folder / "postgresql").unlink()

    home = home_in(folder, NOBODY)

    assert not home.exists()
    assert [[path.name for path in left.iterdir()] for left in left_behind(home)] == [["theirs"]]


@as_root
def test_copied_binaries_run_as_nobody_whatever_the_umask():
    binaries = find_binaries(copy=True)

    answer = subprocess.run([binaries / "postgres", "--version"], user=65534, capture_output=True, text=True)

    assert "PostgreSQL" in answer.stdout


@as_root
def test_ordinary_user_runs_the_wheel_in_place(folder):
    os.chown(folder, NOBODY.uid, NOBODY.gid)
    if not os.access(find_binaries(copy=False), os.X_OK) or not _nobody_may_read(find_binaries(copy=False)):
        pytest.skip("the virtual environment lies where an ordinary user may not read")
    child = os.fork()
    if child == 0:
        # Nothing of pytest may run on in the copy: it ends here, with the outcome as its status.
        os.setgroups([])
        os.setgid(NOBODY.gid)
        os.setuid(NOBODY.uid)
        status = 1
        try:
            server = PostgresServer(folder / "postgresql", server_account(), durable=False)
            with Started(server), psycopg.connect(server.url) as connection:
                connection.execute("SELECT 1")
            status = 0
        finally:
            os._exit(status)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert (folder / "postgresql" / "data").stat().st_uid == NOBODY.uid


def _nobody_may_read(path):
    return subprocess.run(["test", "-x", path / "postgres"], user=65534, check=False).returncode == 0
