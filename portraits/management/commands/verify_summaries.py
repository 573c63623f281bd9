from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import NotFound
from conversations.services.accounts.tenants import all_tenants, get_tenant
from portraits.services.verification import Difference, Verified, verify_tenant


class Command(BaseCommand):
    help = (
        "Compares every customer's counters with their messages; exit status 1 when they differ and stay so."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="this tenant only")
        parser.add_argument("--repair", action="store_true", help="write what the record says")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, tenant: str | None, repair: bool, json: bool, **options: Any) -> None:
        try:
            tenants = [get_tenant(tenant)] if tenant else all_tenants()
        except NotFound as error:
            raise CommandError(error.detail) from error
        verified = Verified()
        differences = []
        for found in tenants:
            for difference in verify_tenant(found.id, repair=repair, verified=verified):
                differences.append(_shown(difference))
                if not json:
                    self.stdout.write(
                        f"{found.name}: customer {difference.customer_id} differs in {', '.join(difference.fields)}"
                    )
        if json:
            report = {
                "checked": verified.checked,
                "differing": verified.differing,
                "repaired": verified.repaired,
                "differences": differences,
            }
            self.stdout.write(msgspec.json.encode(report).decode())
        else:
            self.stdout.write(
                f"{verified.checked} checked, {verified.differing} differing, {verified.repaired} repaired."
            )
        if verified.differing > verified.repaired:
            raise CommandError("Summaries differ from the record: `--repair` writes what it says.")


def _shown(difference: Difference) -> dict[str, Any]:
    return {
        "tenant": difference.tenant_id,
        "customer": difference.customer_id,
        "fields": difference.fields,
        "repaired": difference.repaired,
    }
