"""`manage.py up`: the whole system on this machine, and its end.

It runs before any settings are read, because it is what makes them.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import environ as django_environ

from config.embedded import environment
from config.embedded.exceptions import EmbeddedError
from config.embedded.folder import DataFolder
from config.embedded.options import Options, documented_variables, parse, refuse_taken_address
from config.embedded.plan import MILVUS, Plan, make_plan, web_server, worker
from config.embedded.postgres import left_behind
from config.embedded.process import command_name, follow_parent
from config.embedded.screen import Screen
from config.embedded.supervisor import StopRequested, Supervisor

BASE_DIR = Path(__file__).resolve().parents[2]


def main(argv: list[str]) -> int:
    """Run everything until it is told to stop; the exit status."""
    if command_name(os.getppid()) == "uv":
        # `uv run` hands on every signal but the one it cannot.
        follow_parent(signal.SIGTERM)
    environ = _read_environ()
    options = parse(argv, environ, BASE_DIR)
    screen = Screen()
    try:
        refuse_taken_address(options)
        folder = DataFolder(options.data)
        lock = folder.hold()
        Up(options, folder, environ, screen).run(lock)
    except EmbeddedError as error:
        screen.refuse(error)
        return 1
    screen.say("Everything has stopped.")
    return 0


class Up:
    """One run: start, serve, stop."""

    def __init__(
        self, options: Options, folder: DataFolder, environ: Mapping[str, str], screen: Screen
    ) -> None:
        self.options, self.folder, self.screen = options, folder, screen
        self.plan: Plan = make_plan(options, folder, environ, documented_variables(BASE_DIR))
        self.environ = self.plan.environ(environ)

    def run(self, lock: int) -> None:
        """Return when everything has stopped again."""
        environment.write(self.folder.environment, self.plan.kept)
        link = environment.announce(self.folder.path, BASE_DIR)
        supervisor = Supervisor(
            logs=self.folder.logs,
            environ=self.environ,
            cwd=BASE_DIR,
            say=self.screen.say,
            changed=self.folder.write_processes,
            tick=self.screen.tick,
            held_files=[lock],
        )
        try:
            with supervisor:
                try:
                    self._start(supervisor)
                    supervisor.watch()
                except StopRequested:
                    pass
                self.screen.say("Stopping ...")
        finally:
            self.folder.processes_file.unlink(missing_ok=True)
            if link:
                environment.withdraw(link)

    def _start(self, supervisor: Supervisor) -> None:
        began = time.monotonic()
        self._start_stores(supervisor)
        with self.screen.step("schema and indexes"):
            password = self._prepare(supervisor)
            if self.plan.milvus:
                supervisor.wait_ready(MILVUS)
        self._serve(supervisor)
        if self.options.demo:
            self._load_demo(supervisor)
        self.screen.say(
            f"\nRemembrancer is ready after {time.monotonic() - began:.1f} s.\n", style="bold green"
        )
        self._show_way(password)

    def _start_stores(self, supervisor: Supervisor) -> None:
        if self.plan.postgres:
            with self.screen.step("data folder"):
                self.plan.postgres.prepare()
            for left in left_behind(self.plan.postgres.home):
                self.screen.say(
                    f"{left} is the database of an earlier {self.folder.path}: remove it if it may go."
                )
        if self.plan.milvus:
            self.plan.milvus.prepare()
        stores = self.plan.stores()
        for store in stores:
            supervisor.start(store)
        for store in stores:
            if store.name != MILVUS:  # slow to load, and not needed before the schema stands
                with self.screen.step(store.name):
                    supervisor.wait_ready(store.name)
        if self.plan.postgres:
            self.plan.postgres.ensure_database()

    def _prepare(self, supervisor: Supervisor) -> str | None:
        """Bring the schema up to date; the admin's password when this was the first start."""
        command = [sys.executable, "-m", "config.embedded.prepare"]
        command += [str(self.plan.milvus.port)] if self.plan.milvus else []
        answer = json.loads(supervisor.run("prepare", command))
        for step in answer["failed"]:
            self.screen.say(
                f"{step} did not succeed; {self.folder.logs / 'prepare.log'} says why.", style="yellow"
            )
        made = {name: value for name, value in answer["bootstrap"].items() if value is not None}
        self.folder.write_credentials({**self.folder.read_credentials(), **made, "url": self.options.url})
        return made.get("admin_password")

    def _serve(self, supervisor: Supervisor) -> None:
        broker = self.environ.get("BROKER_URL") or self.environ["REDIS_URL"]
        servers = [worker(self.folder, broker), web_server(self.options)]
        for server in servers:
            supervisor.start(server)
        for server in reversed(servers):
            with self.screen.step(server.name):
                supervisor.wait_ready(server.name)

    def _load_demo(self, supervisor: Supervisor) -> None:
        """Load the sample tenants; everything else is served even when that fails."""
        command = [sys.executable, "manage.py", "load_demo", "--url", self.options.url]
        try:
            supervisor.run("demo", command, shown=True)
        except EmbeddedError as error:
            self.screen.say(f"The demo could not be loaded: {error.problem}", style="bold yellow")

    def _show_way(self, password: str | None) -> None:
        url, credentials = self.options.url, self.folder.read_credentials()
        self.screen.say(f"  API       {url}/api/v1\n  API docs  {url}/api/docs\n  Admin     {url}/admin/")
        if password:
            self.screen.say(f"  Sign in   {credentials['admin_username']} with the password {password}")
        self.screen.say(f"  API key   in {self.folder.credentials_file}")
        self.screen.say("\nCtrl-C stops everything.")


def _read_environ() -> dict[str, str]:
    """The process environment, completed by what the project's `.env` sets to something."""
    before = dict(os.environ)
    django_environ.Env.read_env(BASE_DIR / ".env")
    return {name: value for name, value in os.environ.items() if value or name in before}
