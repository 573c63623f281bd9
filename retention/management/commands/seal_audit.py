from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from retention.services.audit.sealing import Sealed, seal_audit


class Command(BaseCommand):
    help = (
        "Seals the audit events that are not sealed yet and updates the witness file. Beat runs it every 5 s."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        done = seal_audit(thorough=True)
        if json:
            self.stdout.write(msgspec.json.encode(done).decode())
        else:
            self.stdout.write(f"{done.events} events of {done.tenants} tenants sealed.")
        if reasons := _reasons(done):
            raise CommandError(" ".join(reasons))


def _reasons(done: Sealed) -> list[str]:
    reasons = []
    if done.refused:
        names = ", ".join(map(str, done.refused))
        reasons.append(f"Not sealed, because the trail was altered: {names}. Run `manage.py verify_audit`.")
    if done.unwitnessed:
        reasons.append("The witness file could not be written: does AUDIT_WITNESS exist, and is it writable?")
    return reasons
