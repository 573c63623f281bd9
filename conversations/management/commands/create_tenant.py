from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.services.accounts.tenants import create_tenant


class Command(BaseCommand):
    help = "Creates a tenant, whose data is kept apart from that of every other tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, name: str, json: bool, **options: Any) -> None:
        try:
            tenant = create_tenant(name=name, actor=operator(options))
        except Refused as error:
            raise CommandError(error.detail) from error
        if json:
            self.stdout.write(msgspec.json.encode({"tenant": tenant.name, "id": tenant.id}).decode())
        else:
            self.stdout.write(
                f"Tenant {tenant.name} exists. Next: create_key {tenant.name!r} --scopes read,write"
            )
