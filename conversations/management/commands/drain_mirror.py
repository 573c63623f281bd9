import time
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.management.durations import seconds
from conversations.mirror.drain import Drained, drain
from conversations.services.mirrors.status import pending_events


class Command(BaseCommand):
    help = "Brings the mirrors up to date with PostgreSQL, without a broker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--until-empty", action="store_true", help="go on until nothing is pending")
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=3600,
            metavar="SECONDS",
            help="with --until-empty: how long at most (default: %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, until_empty: bool, timeout: float, json: bool, **options: Any) -> None:
        deadline = time.monotonic() + timeout
        total = drain()
        while until_empty and (left := pending_events()) and time.monotonic() < deadline:
            passed = drain()
            total += passed
            if not json:
                self.stdout.write(f"{total.done} followed, {left} pending")
            if not passed.done:
                time.sleep(0.5)
        left = pending_events()
        self._report(total, left, json)
        if until_empty and left:
            raise CommandError(f"{left} events are still pending: is a store down? Run `manage.py doctor`.")

    def _report(self, total: Drained, left: int, json: bool) -> None:
        if json:
            report = {"followed": total.done, "set_back": total.set_back, "pending": left}
            self.stdout.write(msgspec.json.encode(report).decode())
        else:
            self.stdout.write(f"{total.done} followed, {total.set_back} set back, {left} pending.")
