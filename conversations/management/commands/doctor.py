import sys
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandParser

from conversations.services.operations.diagnosis import Finding, Level, diagnose

MARKS = {Level.OK: "ok     ", Level.WARNING: "WARNING", Level.ERROR: "ERROR  "}


class Command(BaseCommand):
    help = (
        "Checks settings, servers, versions, roles, partitions and clocks; says what is wrong and what to do."
    )
    requires_system_checks: list[str] = []  # they are findings here

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        findings = diagnose()
        if json:
            shown = {"ok": all(f.level is not Level.ERROR for f in findings), "findings": findings}
            self.stdout.write(msgspec.json.encode(shown).decode())
        else:
            for finding in findings:
                self._show(finding)
        if any(finding.level is Level.ERROR for finding in findings):
            sys.exit(1)

    def _show(self, finding: Finding) -> None:
        self.stdout.write(f"{MARKS[finding.level]}  {finding.subject}: {finding.detail}")
        if finding.advice:
            self.stdout.write(f"         -> {finding.advice}")
