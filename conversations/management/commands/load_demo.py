"""Sample tenants, loaded the way a client would: tenants and keys here, everything else over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations import ids
from conversations.demo.client import DemoClient, DemoError
from conversations.demo.credentials import TenantKeys, add_keys, read_keys, read_url
from conversations.demo.loading import LoadReport, load_tenant
from conversations.demo.tenants import tenant_of
from conversations.demo.timing import OLDEST
from conversations.demo.trades import TRADES, Trade
from conversations.enums import Scope
from conversations.exceptions import NotFound
from conversations.management.progress import Advance, watching
from conversations.models import Tenant
from conversations.services.accounts.api_keys import create_key
from conversations.services.accounts.tenants import create_tenant, get_tenant
from conversations.services.operations.partitions import ensure_partitions

DEFAULT_URL = "http://127.0.0.1:8000"


class Command(BaseCommand):
    help = "Loads sample conversations of four trades through the public API. Idempotent; continues where it stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", help="the running server (default: the one that the credentials name)")
        parser.add_argument(
            "--credentials",
            type=Path,
            default=Path(settings.DATA_DIR) / "credentials.json",
            metavar="FILE",
            help="where the keys are kept (default: %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, url: str | None, credentials: Path, json: bool, **options: Any) -> None:
        url = url or read_url(credentials) or DEFAULT_URL
        ensure_partitions(since=ids.now() - OLDEST)
        try:
            keys = _ensure_keys(url, credentials)
            with watching(None if json else self.stdout.write) as advance:
                reports = _load_all(url, keys, advance)
        except DemoError as error:
            raise CommandError(str(error)) from error
        if json:
            self.stdout.write(
                msgspec.json.encode({"tenants": [asdict(report) for report in reports]}).decode()
            )
            return
        for report in reports:
            self.stdout.write(_told(report))


def _ensure_keys(url: str, credentials: Path) -> dict[str, TenantKeys]:
    """Two working keys for each tenant; kept ones are used again, because a secret is shown only once."""
    # Asked first, so that nothing is made for a server that is not there.
    _work(url, TenantKeys("none", "none"))
    keys = {name: pair for name, pair in read_keys(credentials).items() if _work(url, pair)}
    missing = [trade for trade in TRADES if trade.name not in keys]
    for trade in missing:
        tenant = _ensure_tenant(trade.name)
        keys[trade.name] = TenantKeys(*(_issue(tenant, officer) for officer in trade.officers))
    if missing:
        add_keys(credentials, keys)
    return keys


def _work(url: str, pair: TenantKeys) -> bool:
    for key in (pair.api_key, pair.second_api_key):
        with DemoClient(url, key) as client:
            if not client.is_accepted():
                return False
    return True


def _ensure_tenant(name: str) -> Tenant:
    try:
        return get_tenant(name)
    except NotFound:
        return create_tenant(name=name)


def _issue(tenant: Tenant, officer: str) -> str:
    return create_key(tenant=tenant, scopes=list(Scope.values), person=officer).key


def _load_all(url: str, keys: Mapping[str, TenantKeys], advance: Advance) -> list[LoadReport]:
    """All tenants side by side: each waits mostly for the server."""
    with ThreadPoolExecutor(max_workers=len(TRADES), thread_name_prefix="demo") as pool:
        return list(pool.map(lambda trade: _load(url, keys[trade.name].api_key, trade, advance), TRADES))


def _load(url: str, key: str, trade: Trade, advance: Advance) -> LoadReport:
    with DemoClient(url, key) as client:
        return load_tenant(
            client, partial(tenant_of, trade), ids.now(), partial(advance, f"{trade.name}, sessions")
        )


def _told(report: LoadReport) -> str:
    if not report.sessions and report.already_there:
        return f"{report.tenant}: all {report.already_there} sessions are there."
    parts = (
        (report.messages, "message", "messages"),
        (report.customers, "customer", "customers"),
        (report.memories, "memory", "memories"),
        (report.holds, "hold", "holds"),
        (report.erasures, "erasure", "erasures"),
    )
    counted = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in parts if count)
    missing = f" Not in this version: {', '.join(report.skipped)}." if report.skipped else ""
    return f"{report.tenant}: {report.sessions} sessions loaded, {counted}.{missing}"
