"""A process that is killed with SIGKILL in the middle of a batch: a trap in the database holds it there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db import connections

from tests import servers

ROOT = Path(__file__).parents[2]

# The batch that meets this row waits inside its transaction, long enough to be shot.
_AMBUSH = """
    CREATE FUNCTION ambush() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.position = 1500 THEN PERFORM pg_sleep(25); END IF;
        RETURN OLD;
    END $$;
    CREATE TRIGGER ambush BEFORE DELETE ON conversations_message FOR EACH ROW EXECUTE FUNCTION ambush();
"""


def kill_in_the_second_batch(database: str, *command: str) -> None:
    """Run the command until it deletes the message at position 1,500, and kill it there."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(_AMBUSH)
    process = _start(database, *command)
    try:
        _wait_until_ambushed(database)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        _end_ambush(database)


def _start(database: str, *command: str) -> subprocess.Popen[bytes]:
    url = urlsplit(os.environ["DATABASE_URL"])
    environ = {**os.environ, "DATABASE_URL": urlunsplit(url._replace(path=f"/{database}"))}
    environ["DATABASE_ROLE_PREFIX"] = connections["default"].settings_dict["OPTIONS"]["assume_role"][
        : -len("_app")
    ]
    environ |= {"REDIS_URL": "", "MILVUS_URI": "", "ELASTICSEARCH_URL": "", "PATIENCE": "0"}
    environ["ERASURE_LEDGER"] = str(settings.ERASURE_LEDGER)
    return subprocess.Popen(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL
    )


def _wait_until_ambushed(database: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if _sleepers(database):
            return
        time.sleep(0.05)
    raise AssertionError("It never came to its second batch.")


def _end_ambush(database: str) -> None:
    """What is left of the dead process's transaction ends; the trap goes."""
    with servers.administrator() as connection:
        for pid in _sleepers(database):
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    with connections["owner"].cursor() as cursor:
        cursor.execute("DROP TRIGGER ambush ON conversations_message")


def _sleepers(database: str) -> list[int]:
    """Only the login itself sees what the sessions of all roles wait for."""
    with servers.administrator() as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s", [database]
        )
        return [pid for (pid,) in found.fetchall()]
