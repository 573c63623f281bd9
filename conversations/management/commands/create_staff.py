from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.services.accounts.staff import create_staff
from conversations.services.accounts.tenants import get_tenant
from conversations.staff.rights import GROUPS, group_named


class Command(BaseCommand):
    help = "Creates a back office account in one tenant. The password is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--tenant", required=True, help="whose conversations they see")
        parser.add_argument("--group", required=True, help=f"what they may do: {', '.join(GROUPS)}")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, username: str, tenant: str, group: str, json: bool, **options: Any) -> None:
        try:
            made = create_staff(
                username=username,
                tenant=get_tenant(tenant),
                group=group_named(group),
                actor=operator(options),
            )
        except Refused as error:
            raise CommandError(error.detail) from error
        if json:
            answer = {"username": made.staff.username, "password": made.password}
            self.stdout.write(msgspec.json.encode(answer).decode())
        else:
            self.stdout.write(
                f"{made.staff.username}: {made.password}\nThe password will not be shown again."
            )
