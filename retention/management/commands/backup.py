from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.management.progress import watching
from conversations.services.operations.backups import BackedUp, back_up


class Command(BaseCommand):
    help = "Backs up everything in PostgreSQL to FILE, and the wrapped data keys to FILE.keys. Reads and writes go on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, file: Path, json: bool, **options: Any) -> None:
        try:
            with watching(None if json else self.stdout.write) as advance:
                made = back_up(file, actor=operator(options), advance=advance)
        except Refused as error:
            raise CommandError(error.detail) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
        self.stdout.write(msgspec.json.encode(_report(made)).decode() if json else _told(made))


def _report(made: BackedUp) -> dict[str, Any]:
    file, keys = made.files
    return {
        "backup": made.id,
        "file": str(file),
        "keys": str(keys),
        "rows": made.rows,
        "bytes": made.bytes,
        "masters": made.masters,
        "signer": made.signer,
    }


def _told(made: BackedUp) -> str:
    file, keys = made.files
    masters = ", ".join(f"{name} {fingerprint}" for name, fingerprint in made.masters.items())
    return "\n".join(
        [
            f"{made.rows} rows in {file} and {keys}, {made.bytes / 1e6:.1f} MB.",
            f"A restore needs, and neither file has: MASTER_KEYS with {masters}; SIGNING_KEY {made.signer}.",
            f"Keep {keys.name} apart from the data and destroy older .keys files: they open what was erased since.",
        ]
    )
