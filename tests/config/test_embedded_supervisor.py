"""A real supervisor in a process of its own, with real servers that behave well and badly."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.embedded.process import is_alive
from tests.config import supervised

ROOT = Path(__file__).resolve().parents[2]


class Parent:
    """The script under test and what it says."""

    def __init__(self, folder, *names):
        command = [sys.executable, supervised.__file__, str(folder), *names]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
        self.pid = self.process.pid
        self.heard = []

    def listen(self, wanted, seconds=20):
        """Read lines until one contains what is wanted; that line."""
        deadline = time.monotonic() + seconds
        for line in self.process.stdout:
            self.heard.append(line.strip())
            if wanted in line:
                return line.strip()
            assert time.monotonic() < deadline, self.heard
        raise AssertionError(f"ended without {wanted!r}: {self.heard}")

    def servers(self):
        """The processes as last told."""
        return json.loads([line for line in self.heard if line.startswith("{")][-1])


@pytest.fixture
def start(tmp_path):
    parents = []

    def begin(*names):
        parents.append(Parent(tmp_path, *names))
        return parents[-1]

    yield begin
    for parent in parents:
        parent.process.terminate()
        parent.process.wait(timeout=60)
        parent.process.stdout.close()


def descendants(pid):
    """Every process below one, as told by the kernel."""
    parent_of = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent_of[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, before = {pid}, set()
    while found != before:
        before = set(found)
        found |= {child for child, parent in parent_of.items() if parent in found}
    return found - {pid}


def wait_until_gone(pids, seconds):
    deadline = time.monotonic() + seconds
    while left := {pid for pid in pids if is_running(pid)}:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)


def is_running(pid):
    """Alive and not a zombie that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return is_alive(pid) and sys.platform != "linux"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stop_signal_ends_everything_in_reverse_order(start, number):
    parent = start("plain-1", "plain-2")
    parent.listen("all ready")
    below = descendants(parent.pid)
    first = parent.servers()["plain-1"]

    os.kill(parent.pid, number)
    parent.listen("stopped")

    assert parent.process.wait(timeout=30) == 0
    assert [json.loads(line) for line in parent.heard if line.startswith("{")][-2:] == [
        {"plain-1": first},
        {},
    ]
    wait_until_gone(below, seconds=0)


@pytest.mark.parametrize("name", ["plain", "family", "strayed", "deaf"])
def test_killed_parent_leaves_nothing(start, name):
    parent = start("plain-1", name)
    parent.listen("all ready")
    below = descendants(parent.pid)
    assert len(below) >= 3

    os.kill(parent.pid, signal.SIGKILL)

    wait_until_gone(below, seconds=5)


@pytest.mark.parametrize("name", ["family", "strayed"])
def test_dead_server_is_back_and_its_orphans_are_gone(start, name):
    parent = start("plain-1", name)
    parent.listen("all ready")
    before = parent.servers()
    orphans = descendants(before[name])
    assert orphans

    os.kill(before[name], signal.SIGKILL)
    parent.listen("died (SIGKILL)")
    parent.listen("is back", seconds=10)

    assert parent.servers()["plain-1"] == before["plain-1"]
    assert parent.servers()[name] != before[name]
    wait_until_gone(orphans, seconds=1)


def test_dead_server_is_back_though_nobody_can_write_that_down(start, tmp_path):
    parent = start("plain-1", "plain-2")
    parent.listen("all ready")
    before = parent.servers()
    (tmp_path / "full").touch()

    os.kill(before["plain-1"], signal.SIGKILL)
    parent.listen("is back", seconds=10)
    os.kill(parent.pid, signal.SIGTERM)
    parent.listen("stopped")

    assert parent.process.wait(timeout=30) == 0
    wait_until_gone(before.values(), seconds=0)


def test_deaf_server_is_killed_after_its_patience(start):
    parent = start("deaf")
    parent.listen("all ready")
    below = descendants(parent.pid)

    os.kill(parent.pid, signal.SIGTERM)
    parent.listen("stopped")

    assert parent.process.wait(timeout=30) == 0
    wait_until_gone(below, seconds=0)


def test_server_that_does_not_start_is_shown_with_its_last_words(start):
    parent = start("plain-1", "brief")

    line = parent.listen("brief did not start")
    rest = parent.process.stdout.read()

    assert parent.process.wait(timeout=30) == 1
    assert "words at the end" in line + rest
    wait_until_gone(parent.servers().values(), seconds=0)


def test_killed_guard_does_not_stop_the_rest(start):
    parent = start("plain-1")
    parent.listen("all ready")
    (guard,) = descendants(parent.pid) - set(parent.servers().values())

    os.kill(guard, signal.SIGKILL)
    os.kill(parent.servers()["plain-1"], signal.SIGKILL)
    parent.listen("is back")
    os.kill(parent.pid, signal.SIGTERM)

    parent.listen("stopped")
