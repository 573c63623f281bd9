"""What holds for every command before it does anything: help, and one line where it cannot run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMANDS = sorted(
    path.stem
    for path in ROOT.glob("*/management/commands/*.py")
    if path.stem not in ("__init__", "bootstrap", "load_demo", "migrate")
)
SETTINGS = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
    "SECRET_KEY": "s" * 50,
    "MASTER_KEYS": "k:" + "A" * 43 + "=",
    "SIGNING_KEY": "A" * 43 + "=",
}
BARE = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's files where no `up` was ever started."""
    target = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / "manage.py", target)
    shutil.copytree(
        ROOT / "config", target / "config"
    )  # settings look for a data folder beside where they lie
    for name in ("conversations", "portraits", "retention", "templates"):
        (target / name).symlink_to(ROOT / name)
    return target


def run(clone: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(clone / "manage.py"), *arguments],
        cwd=clone,
        env=BARE | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", [*COMMANDS, "up", "verify_receipt"])
def test_command_explains_itself_where_nothing_is_installed(clone: Path, command: str) -> None:
    done = run(clone, command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"manage.py {command}" in done.stdout


def test_command_without_an_installation_is_refused_in_one_line(clone: Path) -> None:
    done = run(clone, "doctor", "--json")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("No `manage.py up` was started here")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("WINDOW_SIZE", "many", "is not a whole number"),
        ("MAX_BATCH", "-1", "is negative"),
        ("HOLD_GRACE", "a month", "is not a number with s, m, h or d, such as 30d"),
        ("HTTPS_ONLY", "perhaps", "is neither true nor false"),
        ("LOG_LEVEL", "LOUD", "is none of DEBUG"),
        ("THROTTLE_RATE", "fast", "is not a number for each"),
        ("PORTRAIT_RULES", "{", "is not what is expected"),
        ("DATABASE_URL", "mysql://root@127.0.0.1/x", "does not begin with postgresql://"),
        ("REDIS_URL", "ftp://127.0.0.1", "begins with none of redis://"),
        ("ELASTICSEARCH_URL", "localhost:9200", "begins with none of http://"),
        ("ELASTICSEARCH_URL", "https://search.example.com", "names no port"),
        ("MILVUS_URI", "milvus", "begins with none of http://"),
        ("EMBEDDING_PROFILES", "foo", "is no list of provider:model:dimension"),
        ("EMBEDDING_PROFILES", "hash:words:64,foo:words:64", "is no list of provider:model:dimension"),
        ("EMBEDDING_PROFILES", "hash:words:many", "is no list of provider:model:dimension"),
    ],
)
def test_a_setting_that_cannot_be_is_named_in_one_line(
    clone: Path, variable: str, value: str, problem: str
) -> None:
    done = run(clone, "doctor", **(SETTINGS | {variable: value}))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{variable} {problem}")
    assert done.stderr.count("\n") == 1


def test_a_name_that_is_no_command_is_wrong_usage(clone: Path) -> None:
    done = run(clone, "purgee", **SETTINGS)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Unknown command: 'purgee'")


def test_command_without_its_database_is_refused_in_one_line(clone: Path) -> None:
    done = run(clone, "create_tenant", "x", **SETTINGS)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The database does not answer")


def test_an_argument_that_is_no_text_is_refused_in_one_line(clone: Path) -> None:
    done = run(clone, "create_tenant", os.fsdecode(b"caf\xe9"), **SETTINGS)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "'caf\\udce9' is not valid UTF-8.\n"
