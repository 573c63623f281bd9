"""What a page costs does not grow with what is stored: at most 15 statements, and none that counts messages."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client

from conversations import ids
from conversations.models import AuditEvent, Customer, Session, Tenant
from conversations.principals import SYSTEM
from conversations.services import audit
from conversations.tenancy import tenant_scope
from retention.models import LegalHold
from retention.services.holds import HoldScope, place_hold
from tests.admin.conftest import Account
from tests.admin.furnishing import furnish
from tests.admin.test_accessibility import _may_operate
from tests.retention.factories import ago, make_session, say

MOST = 15
MANY = 1_000


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement on every alias while the block runs; savepoints and the scope's own settings apart."""
    seen: list[str] = []

    def watch(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        text = str(sql)
        if not text.startswith(("SAVEPOINT", "RELEASE", "SELECT set_config")):
            seen.append(text)
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(connections[alias].execute_wrapper(watch))
        yield seen


def test_pages_cost_the_same_at_ten_rows_and_at_a_thousand(
    tenant: Tenant, account: Callable[..., Account]
) -> None:
    dora = account("dora")
    furnished = furnish(tenant, account("owner").staff)
    _may_operate(dora)
    client = Client()
    client.force_login(dora.staff)
    pages = {
        **furnished.pages,
        "charts": "/admin/?charts=yes",
        "held": f"/admin/customers/{furnished.customer}/?held=yes",
    }
    _warm(client, pages)

    _fill(tenant, furnished.session, 10)
    few = _costs(client, pages)
    _fill(tenant, furnished.session, MANY)
    many = _costs(client, pages)

    dear = {name: len(seen) for name, seen in many.items() if len(seen) > MOST}
    grown = {name: (len(few[name]), len(seen)) for name, seen in many.items() if len(seen) > len(few[name])}
    counting = {
        name: text
        for name, seen in many.items()
        for text in seen
        if "count(*)" in text.lower() and "from" in text.lower() and _is_list(name)
    }
    assert (dear, grown, counting) == ({}, {}, {})


def _is_list(name: str) -> bool:
    """Pages that announce a deed say how much it touches; those that list never count."""
    return name in {
        "conversations",
        "customers",
        "archive",
        "holds",
        "audit",
        "exports",
        "erasures",
        "transcript",
    }


def _warm(client: Client, pages: dict[str, str]) -> None:
    for path in pages.values():
        client.get(path)


def _costs(client: Client, pages: dict[str, str]) -> dict[str, list[str]]:
    found = {}
    for name, path in pages.items():
        client.get(path)  # so that what a process remembers for seconds is fresh
        cache.clear()  # and what pages remember for a minute is not
        with statements() as seen:
            assert client.get(path).status_code == 200, name
        found[name] = seen
    return found


def _fill(tenant: Tenant, session_id: Any, count: int) -> None:
    with tenant_scope(tenant.id):
        now = ids.now()
        moments = [now - timedelta(milliseconds=n) for n in range(count)]
        customers = [
            Customer(id=ids.new_id(at), created_at=at, tenant_id=tenant.id, external_id=f"{count}-{n}")
            for n, at in enumerate(moments)
        ]
        Customer.objects.bulk_create(customers)
        Session.objects.bulk_create(
            Session(
                id=ids.new_id(at),
                created_at=at,
                tenant_id=tenant.id,
                customer_id=customers[n].id,
                title="One of many",
            )
            for n, at in enumerate(moments)
        )
        for n in range(min(count, 60)):
            place_hold(
                tenant_id=tenant.id,
                scope=HoldScope(customer_id=f"{count}-{n}"),
                matter="m",
                reason="r",
                actor=SYSTEM,
            )
            audit.record(tenant_id=tenant.id, actor=SYSTEM, action="x.y", object_type="session")
        session = Session.objects.get(id=session_id)
    say(tenant, session, [ago(0.001)] * min(count, 500))


@pytest.mark.parametrize("query", ["words=plain", "intent=plain", "customer=c plain", "status=open"])
def test_searches_cost_as_little(tenant: Tenant, account: Callable[..., Account], query: str) -> None:
    dora = account("dora")
    furnish(tenant, account("owner").staff)
    client = Client()
    client.force_login(dora.staff)
    client.get(f"/admin/conversations/?{query}")

    with statements() as seen:
        page = client.get(f"/admin/conversations/?{query}")

    assert "plain" in page.content.decode()
    assert len(seen) <= MOST
    with tenant_scope(tenant.id):
        assert AuditEvent.objects.filter(action="conversations.searched").count() == 2
        assert LegalHold.objects.count() == 1


def test_trying_a_shorter_period_costs_as_little(tenant: Tenant, account: Callable[..., Account]) -> None:
    say(tenant, make_session(tenant, made_at=ago(60)), [ago(60)])
    client = Client()
    client.force_login(account("dora").staff)
    tried = {
        "preview": "yes",
        "messages": "20 days",
        "summaries": "2 years",
        "archive": "7 years",
        "archive_mode": "sealed",
        "zone": "UTC",
    }
    client.post("/admin/retention/", tried)

    with statements() as seen:
        page = client.post("/admin/retention/", tried)

    assert "Samples of what would end" in page.content.decode()
    assert len(seen) <= MOST
