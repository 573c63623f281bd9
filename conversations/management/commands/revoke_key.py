from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.services.accounts.api_keys import revoke_key


class Command(BaseCommand):
    help = "Revokes an API key, everywhere within five seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "id", type=UUID, metavar="ID", help="the key's, as `create_key --json` and the admin show it"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, id: UUID, json: bool, **options: Any) -> None:
        try:
            revoke_key(key_id=id, actor=operator(options))
        except Refused as error:
            raise CommandError(error.detail) from error
        self.stdout.write(msgspec.json.encode({"revoked": id}).decode() if json else f"Key {id} is revoked.")
