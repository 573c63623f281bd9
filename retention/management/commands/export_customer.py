from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.services.accounts.tenants import get_tenant
from retention.services.exports.customers import write_customer


class Command(BaseCommand):
    help = (
        "Writes everything held about a customer to a zip archive: JSON Lines, a page to read, a manifest with"
        " digests. Personal data of others is masked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--tenant", required=True, metavar="NAME")
        parser.add_argument("--customer", required=True, metavar="ID", help="the customer's own external id")
        parser.add_argument(
            "--identifier",
            action="append",
            default=[],
            metavar="TEXT",
            help="a number or address that is proven to be theirs, and stays; may be repeated",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, file: Path, tenant: str, customer: str, json: bool, **options: Any) -> None:
        try:
            manifest = write_customer(
                tenant_id=get_tenant(tenant).id,
                external_id=customer,
                path=file,
                actor=operator(options),
                identifiers=options["identifier"],
            )
        except Refused as error:
            raise CommandError(error.detail) from error
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from error
        if json:
            self.stdout.write(msgspec.json.encode(manifest).decode())
        else:
            lines = sum(one.lines for one in manifest.files if one.name.endswith(".jsonl"))
            self.stdout.write(f"{lines} records in {file}.")
