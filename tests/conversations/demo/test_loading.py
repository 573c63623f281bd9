"""The loader against the real application over real HTTP, with a database of its own."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from django.core.management import CommandError, call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections

from conversations.demo import DemoTenant
from conversations.demo.client import DemoClient, DemoError, NotInThisVersion
from conversations.demo.loading import load_tenant
from conversations.demo.tenants import conversations, tenant_of
from conversations.demo.trades import TRADES
from conversations.enums import Scope
from conversations.models import Message, Session, Tenant
from conversations.services.accounts.api_keys import create_key
from conversations.services.accounts.tenants import create_tenant


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url(database: str) -> Iterator[str]:
    with Server(("127.0.0.1", 0), Quiet) as server:
        server.set_app(get_wsgi_application())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def counted() -> tuple[int, int, int]:
    counts = tuple(model.objects.using("ops").count() for model in (Tenant, Session, Message))
    connections.close_all()
    return counts


def run(url: str | None, file: Path) -> list[dict]:
    output = StringIO()
    call_command("load_demo", url=url, credentials=file, json=True, stdout=output)
    return json.loads(output.getvalue())["tenants"]


def test_command_loads_everything_once(url, tmp_path):
    file = tmp_path / "credentials.json"
    file.touch(0o600)
    file.write_text(json.dumps({"tenant": "mine", "url": url}))

    first = run(None, file)
    stored = counted()
    second = run(url, file)

    expected = list(conversations(datetime.now(UTC)))
    assert stored == (4, sum(r["sessions"] for r in first), sum(r["messages"] for r in first))
    assert stored[1] == sum(len(tenant.sessions) for tenant in expected)
    assert counted() == stored
    assert all(report["already_there"] and not report["messages"] for report in second)
    kept = json.loads(file.read_text())
    assert kept["tenant"] == "mine"
    assert kept["demo"].keys() == {tenant.name for tenant in expected}
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def concerts(url: str) -> Iterator[DemoClient]:
    key = create_key(tenant=create_tenant(name="Concerts"), scopes=list(Scope.values), person="Ada").key
    with DemoClient(url, key) as client:
        yield client


class Interrupted(Exception):
    pass


def test_interrupted_load_continues_with_the_same_dates(concerts):
    now = datetime.now(UTC)

    def stop_at_twenty(done: int, total: int) -> None:
        if done == 20:
            raise Interrupted

    with pytest.raises(Interrupted):
        load_tenant(concerts, build, now - timedelta(hours=30), stop_at_twenty)
    report = load_tenant(concerts, build, now, lambda done, total: None)

    expected = build(now - timedelta(hours=30))
    stored = Session.objects.using("ops").values_list("external_id", "created_at")
    assert dict(stored) == {session.external_id: session.created_at for session in expected.sessions}
    assert report.already_there == 20
    assert counted()[2] == sum(len(session.messages) for session in expected.sessions)


def test_stored_conversation_reads_as_written(concerts):
    now = datetime.now(UTC)
    load_tenant(concerts, build, now, lambda done, total: None)
    session = [session for session in build(now).sessions if session.outcome][-1]

    _, page = concerts.call("GET", "/sessions", query={"external_id": session.external_id})
    _, messages = concerts.call("GET", "/sessions/{}/messages", page["data"][0]["id"], query={"limit": "200"})

    assert [message["content"] for message in messages["data"]] == [m.content for m in session.messages]
    assert page["data"][0]["outcome"]["success"] == session.outcome.success


def test_unknown_endpoint_is_named_and_a_real_404_is_an_error(concerts):
    with pytest.raises(NotInThisVersion):
        concerts.call("GET", "/no-such-thing/{}", "x")
    with pytest.raises(DemoError, match="404"):
        concerts.call("GET", "/sessions/{}", "00000000-0000-7000-8000-000000000000")


def test_refused_key_and_absent_server_are_told(url, tmp_path):
    with DemoClient(url, "rmb_no_key") as client:
        assert not client.is_accepted()
    with pytest.raises(CommandError):
        call_command("load_demo", url="http://127.0.0.1:9", credentials=tmp_path / "none" / "file", json=True)
    assert counted() == (0, 0, 0)
    assert not (tmp_path / "none").exists()


def build(now: datetime) -> DemoTenant:
    return tenant_of(TRADES[-1], now)
