from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.services.accounts.tenants import get_tenant
from conversations.services.exporting import export_tenant


class Command(BaseCommand):
    help = (
        "Writes a tenant to a new folder: JSON Lines that `import_conversations --format jsonl` reads, and a manifest"
        " that reveals alterations. Conversations are in clear text: keep it safe."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", metavar="NAME")
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, tenant: str, folder: Path, json: bool, **options: Any) -> None:
        try:
            manifest = export_tenant(tenant_id=get_tenant(tenant).id, folder=folder, actor=operator(options))
        except Refused as error:
            raise CommandError(error.detail) from error
        except OSError as error:
            raise CommandError(f"{error.filename or folder}: {error.strerror}.") from error
        if json:
            self.stdout.write(msgspec.json.encode(manifest).decode())
            return
        for file in manifest.files:
            self.stdout.write(f"{file.name}: {file.lines} records, {file.bytes} bytes")
        self.stdout.write(f"Written to {folder}.")
