from dataclasses import asdict
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.progress import watching
from conversations.services.accounts.tenants import get_tenant
from retention.audit_walk import Finding
from retention.services.audit.verifying import verify_audit


class Command(BaseCommand):
    help = "Verifies the audit trail against its hashes, its signed checkpoints and the witness; names what differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="only this tenant's (default: everybody's)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, tenant: str | None, json: bool, **options: Any) -> None:
        try:
            chosen = get_tenant(tenant) if tenant is not None else None
        except Refused as error:
            raise CommandError(error.detail) from error
        with watching(None if json else self.stdout.write) as advance:
            found = verify_audit(chosen, progress=advance)
        if json:
            report = {"ok": found.ok, **asdict(found)}
            self.stdout.write(msgspec.json.encode(report).decode())
        else:
            for finding in found.findings:
                self.stdout.write(_told(finding))
            self.stdout.write(
                f"{found.events} sealed events, {found.checkpoints} checkpoints, {found.witnessed} seen by the witness."
            )
        if not found.ok:
            raise CommandError(f"{len(found.findings)} findings: the trail is not what was sealed.")


def _told(finding: Finding) -> str:
    places = {
        "event": finding.event_id,
        "sequence": finding.sequence,
        "checkpoint": finding.checkpoint,
    }
    named = ", ".join(f"{name} {place}" for name, place in places.items() if place is not None)
    return f"{finding.tenant or 'no tenant'}: {finding.kind}: {named or 'an unreadable line'}"
