"""`manage.py up` on a product in a nutshell: real servers, real signals, real leftovers."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from config.embedded.process import free_port
from tests.config.test_embedded_supervisor import descendants, wait_until_gone

ROOT = Path(__file__).resolve().parents[2]
# No variable of the machine's own servers, nor of the tests' settings.
CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


class Clone:
    """A clone of the nutshell, and what is run in it."""

    def __init__(self, path):
        self.path = path
        self.data = path / ".data"
        self.port = free_port()
        self.begun = []
        shutil.copytree(Path(__file__).parent / "standin", path)
        shutil.copytree(ROOT / "config" / "embedded", path / "config" / "embedded")
        shutil.copy(ROOT / "config" / "environment.py", path / "config")
        shutil.copy(ROOT / "manage.py", path)

    def manage(self, *arguments, **environ):
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.path,
            env=CLEAN | environ,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def up(self, *arguments, **environ):
        """Start `up` and return when it says that it is ready; Milvus is left out unless it is named."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(self.port), *arguments],
            cwd=self.path,
            env={"MILVUS_URI": "", **CLEAN, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        process.said = ""
        self.begun.append(process)
        for line in process.stdout:
            process.said += line
            if "Ctrl-C" in line:
                return process
        raise AssertionError(process.said)

    def processes(self):
        """Name and id of each server."""
        return json.loads((self.data / "processes.json").read_text())

    def notes(self):
        """What the web server reads in PostgreSQL."""
        with urlopen(f"http://127.0.0.1:{self.port}/notes") as answer:
            return int(answer.read())

    def clean(self):
        """End what still runs, and remove what root's PostgreSQL keeps elsewhere."""
        for process in self.begun:
            process.terminate()
            process.wait(timeout=30)
            process.stdout.close()
        for link in self.path.parent.rglob("postgresql"):
            if link.is_symlink():
                shutil.rmtree(link.resolve(), ignore_errors=True)


@pytest.fixture
def clone(tmp_path):
    """A clone below a folder that only its owner may enter."""
    tmp_path.chmod(0o700)
    clone = Clone(tmp_path / "clone")
    yield clone
    clone.clean()


def stop(process, number=signal.SIGTERM):
    """Stop an `up`; what it said last."""
    process.send_signal(number)
    said = process.stdout.read()
    assert process.wait(timeout=30) == 0, said
    return said


def test_second_start_uses_what_the_first_one_made(clone):
    first = clone.up("--demo")
    credentials = json.loads((clone.data / "credentials.json").read_text())
    kept = (clone.data / "environment").read_text()
    below = descendants(first.pid)
    said = stop(first)

    second = clone.up()

    assert "demo sees 1 notes" in first.said
    assert "password once" in first.said
    assert "Everything has stopped" in said
    wait_until_gone(below, seconds=0)
    assert credentials == {
        "url": f"http://127.0.0.1:{clone.port}",
        "admin_username": "admin",
        "admin_password": "once",
        "tenant": "main",
        "api_key": "k",
    }
    for name in ("credentials.json", "environment", "processes.json"):
        assert (clone.data / name).stat().st_mode & 0o777 == 0o600
    assert "password" not in second.said
    assert clone.notes() == 1
    assert json.loads((clone.data / "credentials.json").read_text()) == credentials
    assert (clone.data / "environment").read_text() == kept


def test_killed_servers_are_back_within_ten_seconds_though_nobody_reads(clone):
    process = clone.up()
    process.stdout.close()
    before = clone.processes()
    assert before.keys() == {"postgresql", "redis", "worker", "web"}

    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not (clone.processes().keys() == before.keys() and _notes_or_none(clone) == 1):
        assert time.monotonic() < deadline, clone.processes()
        time.sleep(0.1)

    after = clone.processes()
    assert all(after[name] != before[name] for name in before)
    assert process.poll() is None


def test_worker_without_its_schedule_starts_anew(clone):
    process = clone.up()
    before = clone.processes()
    (schedule,) = descendants(before["worker"])

    os.kill(schedule, signal.SIGKILL)

    for line in process.stdout:
        if "worker is back" in line:
            break
    after = clone.processes()
    assert after["worker"] != before["worker"]
    assert len(descendants(after["worker"])) == 1
    assert {**after, "worker": 0} == {**before, "worker": 0}


def test_killed_up_leaves_nothing_and_the_next_one_starts(clone):
    killed = clone.up()
    below = descendants(killed.pid)
    assert len(below) > 10

    killed.kill()
    killed.wait()
    again = clone.up()

    wait_until_gone(below, seconds=0)
    assert clone.notes() == 1
    stop(again, signal.SIGINT)


def test_commands_find_the_servers_of_a_running_up(clone, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    process = clone.up("--data", str(elsewhere))

    found = clone.manage("ensure_partitions")
    stop(process)
    lost = clone.manage("ensure_partitions")

    assert found.returncode == 0, found.stderr
    assert not clone.data.exists()
    assert lost.returncode != 0


def test_second_up_on_the_same_folder_is_refused(clone):
    process = clone.up()
    before = clone.processes()

    refused = clone.manage("up", "--port", "0")

    assert refused.returncode == 1
    assert f"process {process.pid}" in refused.stderr
    assert clone.processes() == before


def test_port_in_use_is_refused_before_anything_starts(clone):
    with socket.create_server(("127.0.0.1", clone.port)):
        refused = clone.manage("up", "--port", str(clone.port))

    assert refused.returncode == 1
    assert f"Port {clone.port}" in refused.stderr
    assert "--port" in refused.stderr
    assert not clone.data.exists()


def test_lost_keys_are_not_replaced(clone):
    stop(clone.up())
    (clone.data / "environment").rename(clone.data / "elsewhere")

    refused = clone.manage("up", "--port", "0")

    assert refused.returncode == 1
    assert "MASTER_KEYS" in refused.stderr
    assert not (clone.data / "environment").exists()


def test_named_servers_are_used_and_not_started(clone, postgres_server, redis_server):
    process = clone.up(DATABASE_URL=postgres_server, REDIS_URL=redis_server)

    names = clone.processes().keys()
    stop(process)

    assert names == {"worker", "web"}
    assert not os.path.lexists(clone.data / "postgresql")


def test_failed_step_shows_its_log_and_leaves_nothing(clone):
    broken = clone.path / "shop/management/commands/ensure_partitions.py"
    broken.write_text(broken.read_text().replace("CREATE TABLE", "CREATE GARBLE"))

    with pytest.raises(AssertionError, match="GARBLE") as failure:
        clone.up()

    assert clone.begun[0].wait(timeout=10) == 1
    assert "prepare.log" in str(failure.value)
    assert not (clone.data / "processes.json").exists()


def test_wrong_usage_is_status_two(clone):
    assert clone.manage("up", "--port", "many").returncode == 2


def _notes_or_none(clone):
    try:
        return clone.notes()
    except OSError:
        return None
