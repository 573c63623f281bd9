from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations import ids
from conversations.exceptions import Refused
from conversations.management.durations import duration
from conversations.management.operators import add_operator, operator
from conversations.services.accounts.api_keys import create_key
from conversations.services.accounts.tenants import get_tenant


class Command(BaseCommand):
    help = "Issues an API key to a person. It is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("--scopes", required=True, help="comma-separated: read,write,import,compliance")
        parser.add_argument("--expires", type=duration, metavar="90d", help="a number with s, m, h or d")
        parser.add_argument(
            "--person",
            help="the person it is issued to, as the audit trail names them (default: the key's id)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, tenant: str, scopes: str, json: bool, **options: Any) -> None:
        lifetime = options["expires"]
        try:
            issued = create_key(
                tenant=get_tenant(tenant),
                scopes=[scope.strip() for scope in scopes.split(",") if scope.strip()],
                person=options["person"],
                expires_at=ids.now() + lifetime if lifetime else None,
                actor=operator(options),
            )
        except Refused as error:
            raise CommandError(error.detail) from error
        if json:
            self.stdout.write(msgspec.json.encode({"id": issued.id, "key": issued.key}).decode())
        else:
            self.stdout.write(f"{issued.key}\nIts id is {issued.id}. It will not be shown again.")
