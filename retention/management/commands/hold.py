from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.management.timestamps import timestamp
from conversations.services.accounts.tenants import get_tenant
from retention.presenters import show_hold
from retention.services.holds import HoldScope, place_hold


class Command(BaseCommand):
    help = "Places a legal hold: in force when this returns. Without a customer, session or span it covers the tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="NAME")
        parser.add_argument("--matter", required=True, metavar="TEXT", help="the case it is for")
        parser.add_argument("--reason", required=True, metavar="TEXT")
        parser.add_argument("--customer", metavar="ID", help="the customer's own external id")
        parser.add_argument("--session", type=UUID, metavar="ID", help="its id, a UUID")
        parser.add_argument(
            "--start",
            type=timestamp,
            metavar="TIME",
            help="what was said from then on, such as 2026-01-31T12:00:00Z",
        )
        parser.add_argument("--end", type=timestamp, metavar="TIME", help="and before then")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, tenant: str, json: bool, **options: Any) -> None:
        scope = HoldScope(
            customer_id=options["customer"],
            session_id=options["session"],
            start_time=options["start"],
            end_time=options["end"],
        )
        try:
            hold = place_hold(
                tenant_id=get_tenant(tenant).id,
                scope=scope,
                matter=options["matter"],
                reason=options["reason"],
                actor=operator(options),
            )
        except Refused as error:
            raise CommandError(error.detail) from error
        if json:
            self.stdout.write(msgspec.json.encode(show_hold(hold, scope.customer_id)).decode())
        else:
            self.stdout.write(f"Hold {hold.id} is in force.")
