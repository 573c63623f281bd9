from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from retention.models import LegalHold
from retention.presenters import hold_state
from retention.services.holds import release_hold


class Command(BaseCommand):
    help = (
        "Releases a legal hold in two steps: one person asks for it, another grants it; then a grace begins."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "id", type=UUID, metavar="ID", help="the hold's, as `hold --json` and the admin show it"
        )
        parser.add_argument("--reason", required=True, metavar="TEXT")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, id: UUID, reason: str, json: bool, **options: Any) -> None:
        # A hold says whose it is; only operators may ask across tenants.
        tenant_id = LegalHold.objects.using("ops").filter(id=id).values_list("tenant_id", flat=True).first()
        if tenant_id is None:
            raise CommandError(f"There is no hold {id}.")
        try:
            hold = release_hold(tenant_id=tenant_id, hold_id=id, reason=reason, actor=operator(options))
        except Refused as error:
            raise CommandError(error.detail) from error
        if json:
            shown = {"id": hold.id, "state": hold_state(hold), "grace_until": hold.grace_until}
            self.stdout.write(msgspec.json.encode(shown).decode())
        elif hold.released_at is None:
            self.stdout.write("Release requested. Another person has to release it too.")
        else:
            self.stdout.write(f"Released. It still covers until {hold.grace_until:%Y-%m-%d %H:%M} UTC.")
