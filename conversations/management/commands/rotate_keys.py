from dataclasses import asdict
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.management.progress import watching
from conversations.models import Tenant
from conversations.services.accounts.tenants import all_tenants, get_tenant
from conversations.services.keys.resealing import Rotation
from conversations.services.keys.rotation import rewrap_under_master, rotate_keys


class Command(BaseCommand):
    help = (
        "Gives tenants and their customers new keys and re-encrypts everything under them, while reads and writes "
        "continue. Run it again after an interruption. After a change of MASTER_KEYS, --master-only is enough."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="only this tenant's (default: everybody's)")
        parser.add_argument(
            "--master-only", action="store_true", help="only wrap tenants' keys under the current master key"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, tenant: str | None, master_only: bool, json: bool, **options: Any) -> None:
        actor, total = operator(options), Rotation()
        try:
            tenants: list[Tenant] = [get_tenant(tenant)] if tenant is not None else all_tenants()
            if master_only:
                for each in tenants:
                    total.add(rewrap_under_master(each, actor=actor))
            else:
                with watching(None if json else self.stdout.write) as advance:
                    total = rotate_keys(tenants, actor=actor, report=advance)
        except Refused as error:
            raise CommandError(error.detail) from error
        if json:
            self.stdout.write(msgspec.json.encode({"tenants": len(tenants), **asdict(total)}).decode())
        else:
            self.stdout.write(_told(len(tenants), total))
        if total.broken:
            raise CommandError(f"{total.broken} sealed values do not authenticate and were left as they are.")


def _told(tenants: int, total: Rotation) -> str:
    resealed = sum(total.resealed.values())
    waiting = f" {total.waiting} are kept until backups of their time are gone." if total.waiting else ""
    return (
        f"{tenants} tenants: {total.replaced} keys replaced, {total.rewrapped} rewrapped, "
        f"{resealed} values re-encrypted, {total.destroyed} old keys destroyed.{waiting}"
    )
