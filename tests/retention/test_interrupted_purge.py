"""A purge that is killed with SIGKILL in the middle of a batch: nothing half done, and the next one goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.db import connections

from conversations.models import Message
from conversations.principals import SYSTEM
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass, RunState
from retention.models import ArchiveRecord, PurgeBatch, PurgeRun
from retention.services.purges import merkle_root, purge
from tests import servers
from tests.retention.factories import ago, make_session, make_tenant, say

ROOT = Path(__file__).parents[2]
BATCH, ROWS = 1_000, 2_500

# The second batch meets this row and waits inside its transaction, long enough to be shot.
_AMBUSH = """
    CREATE FUNCTION ambush() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.position = 1500 THEN PERFORM pg_sleep(25); END IF;
        RETURN OLD;
    END $$;
    CREATE TRIGGER ambush BEFORE DELETE ON conversations_message FOR EACH ROW EXECUTE FUNCTION ambush();
"""


def test_purge_killed_inside_a_batch_is_resumed_where_it_stood(database):
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(100))
    for _ in range(ROWS // 500):
        say(tenant, session, [ago(95)] * 500)
    with connections["owner"].cursor() as cursor:
        cursor.execute(_AMBUSH)

    process = _start_purge(database)
    _wait_until_ambushed(database)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _end_ambush(database)

    with tenant_scope(tenant.id):
        killed = PurgeRun.objects.get()
        assert (killed.state, killed.archived) == (RunState.RUNNING, BATCH)
        assert ArchiveRecord.objects.count() == BATCH
        assert Message.objects.count() == ROWS - BATCH
        session.refresh_from_db()
    assert session.message_count == ROWS - BATCH

    run = purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)

    assert (run.id, run.state, run.archived, run.candidates) == (killed.id, RunState.DONE, ROWS, ROWS)
    with tenant_scope(tenant.id):
        assert ArchiveRecord.objects.count() == ROWS
        assert not Message.objects.exists()
        assert sum(PurgeBatch.objects.values_list("archived", flat=True)) == ROWS
    assert run.leaves == ROWS
    assert len(merkle_root(run)) == 32


def _start_purge(database):
    url = urlsplit(os.environ["DATABASE_URL"])
    environ = {**os.environ, "DATABASE_URL": urlunsplit(url._replace(path=f"/{database}"))}
    environ["DATABASE_ROLE_PREFIX"] = connections["default"].settings_dict["OPTIONS"]["assume_role"][
        : -len("_app")
    ]
    command = [sys.executable, "manage.py", "purge", "--execute", "--class", "messages"]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)


def _wait_until_ambushed(database):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if _sleepers(database):
            return
        time.sleep(0.05)
    raise AssertionError("The purge never came to its second batch.")


def _end_ambush(database):
    """What is left of the dead process's transaction ends; the trap goes."""
    with servers.administrator() as connection:
        for pid in _sleepers(database):
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    with connections["owner"].cursor() as cursor:
        cursor.execute("DROP TRIGGER ambush ON conversations_message")


def _sleepers(database):
    """Only the login itself sees what the sessions of all roles wait for."""
    with servers.administrator() as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s", [database]
        )
        return [pid for (pid,) in found.fetchall()]
