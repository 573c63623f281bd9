from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.enums import Sink
from conversations.exceptions import NotFound
from conversations.management.progress import Advance, watching
from conversations.mirror.profiles import read_message_profiles
from conversations.mirror.rebuilding import (
    RebuildFailed,
    Rebuilt,
    configured_search_store,
    rebuild_search,
    rebuild_vectors,
)
from conversations.models import Tenant
from conversations.services.accounts.tenants import all_tenants, get_tenant
from conversations.services.mirrors.rebuilding import rebuild_tenant, rebuild_windows

SINKS = {"elasticsearch": Sink.ELASTICSEARCH, "milvus": Sink.MILVUS}


class Command(BaseCommand):
    help = (
        "Rebuilds a store from PostgreSQL beside the one in use, then switches. Writes and searches continue."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--store", required=True, choices=[*SINKS, "window"])
        parser.add_argument("--tenant", metavar="NAME", help="only this tenant's entries, where they are")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, store: str, tenant: str | None, json: bool, **options: Any) -> None:
        try:
            only = get_tenant(tenant) if tenant else None
            with watching(None if json else self.stdout.write) as advance:
                done = _rebuild(store, only, advance)
        except NotFound as error:
            raise CommandError(error.detail) from error
        except RebuildFailed as error:
            raise CommandError(f"{error} Nothing was switched: what was in use still is.") from error
        if json:
            report = {"store": store, "rows": done.rows, "refused": done.refused}
            self.stdout.write(msgspec.json.encode(report).decode())
        else:
            refused = f", {done.refused} refused: see the parked events" if done.refused else ""
            self.stdout.write(f"{store}: {done.rows} rows{refused}.")


def _rebuild(store: str, tenant: Tenant | None, advance: Advance) -> Rebuilt:
    if store == "window":
        tenants = [tenant] if tenant else all_tenants()
        return Rebuilt(rebuild_windows([each.id for each in tenants], advance), 0)
    if tenant is not None:
        return Rebuilt(rebuild_tenant(SINKS[store], tenant.id, advance), 0)
    if store == "elasticsearch":
        return rebuild_search(configured_search_store(), advance)
    return rebuild_vectors(read_message_profiles().served, advance)
