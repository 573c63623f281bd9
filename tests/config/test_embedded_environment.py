"""Which installation a command belongs to."""

import os
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.embedded.environment import LOCK_FILE, adopt, announce, find_folder, read, running_pid, write
from config.embedded.exceptions import EmbeddedError

DEAD_PID = 2**22 + 1


def make_folder(folder, *, pid=None, **values):
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "environment", values)
    if pid is not None:
        (folder / LOCK_FILE).write_text(str(pid))
    return folder


def test_adopt_fills_in_what_is_unset(tmp_path):
    make_folder(tmp_path / ".data", DATABASE_URL="postgresql:///a", REDIS_URL="redis://r", DEBUG="false")
    environ = {"DEBUG": "true"}

    adopt(environ, tmp_path)

    assert environ == {"DEBUG": "true", "DATABASE_URL": "postgresql:///a", "REDIS_URL": "redis://r"}


def test_adopt_leaves_another_installation_alone(tmp_path):
    make_folder(tmp_path / ".data", DATABASE_URL="postgresql:///a", REDIS_URL="redis://r")
    environ = {"DATABASE_URL": "postgresql:///b"}

    adopt(environ, tmp_path)

    assert environ == {"DATABASE_URL": "postgresql:///b"}


def test_adopt_completes_the_same_installation(tmp_path):
    make_folder(tmp_path / ".data", DATABASE_URL="postgresql:///a", REDIS_URL="redis://r")
    environ = {"DATABASE_URL": "postgresql:///a"}

    adopt(environ, tmp_path)

    assert environ["REDIS_URL"] == "redis://r"


def test_adopt_without_any_folder_changes_nothing(tmp_path):
    environ = {}

    adopt(environ, tmp_path)

    assert environ == {}


def test_adopt_finds_a_running_folder_elsewhere(tmp_path):
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    make_folder(project / ".data", DATABASE_URL="postgresql:///stopped")
    make_folder(elsewhere, pid=os.getpid(), DATABASE_URL="postgresql:///running")
    announce(elsewhere, project)
    environ = {}

    adopt(environ, project)

    assert environ["DATABASE_URL"] == "postgresql:///running"


def test_adopt_prefers_the_named_folder(tmp_path):
    make_folder(tmp_path / ".data", pid=os.getpid(), DATABASE_URL="postgresql:///usual")
    make_folder(tmp_path / "named", DATABASE_URL="postgresql:///named")
    environ = {"DATA_DIR": str(tmp_path / "named")}

    adopt(environ, tmp_path)

    assert environ["DATABASE_URL"] == "postgresql:///named"


def test_folder_of_a_dead_process_is_not_running(tmp_path):
    elsewhere = make_folder(tmp_path / "elsewhere", pid=DEAD_PID)
    announce(elsewhere, tmp_path)

    assert running_pid(elsewhere) is None
    assert find_folder({}, tmp_path) == tmp_path / ".data"


def test_several_running_folders_are_not_guessed_between(tmp_path):
    for name in ("one", "two"):
        announce(make_folder(tmp_path / name, pid=os.getpid()), tmp_path)

    with pytest.raises(EmbeddedError, match="Several"):
        find_folder({}, tmp_path)


def test_adopt_completes_the_installation_of_the_database_among_several(tmp_path):
    for name in ("one", "two"):
        url = f"postgresql:///{name}"
        folder = make_folder(tmp_path / name, pid=os.getpid(), DATABASE_URL=url, REDIS_URL=f"redis://{name}")
        announce(folder, tmp_path)
    ours, elsewhere = {"DATABASE_URL": "postgresql:///two"}, {"DATABASE_URL": "postgresql:///three"}

    adopt(ours, tmp_path)
    adopt(elsewhere, tmp_path)

    assert ours["REDIS_URL"] == "redis://two"
    assert elsewhere == {"DATABASE_URL": "postgresql:///three"}


def test_environment_file_is_private(tmp_path):
    folder = make_folder(tmp_path, SECRET_KEY="s")

    assert (folder / "environment").stat().st_mode & 0o777 == 0o600


@given(st.dictionaries(st.text(string.ascii_uppercase, min_size=1), st.text(string.printable)))
def test_written_values_are_read_back(values):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "environment"

        write(file, values)

        assert read(file) == values
