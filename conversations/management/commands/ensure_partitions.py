from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandParser

from conversations.services.operations.partitions import ensure_partitions


class Command(BaseCommand):
    help = "Creates the partitions for the coming weeks and months. Idempotent; beat runs it every hour."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, json: bool = False, verbosity: int = 1, **options: Any) -> None:
        made = ensure_partitions()
        if json:
            self.stdout.write(msgspec.json.encode({"made": made}).decode())
        elif verbosity:
            self.stdout.write(f"{len(made)} partitions made." if made else "All partitions exist.")
