from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.management.progress import watching
from conversations.models import Tenant
from conversations.principals import Actor
from conversations.services.accounts.tenants import get_tenant
from retention.enums import CaseState
from retention.management.receipt_files import refuse_unwritable, write_receipt
from retention.models import ErasureCase, TenantRemoval
from retention.services.erasures.cases import present_case
from retention.services.tenant_removal import (
    Preview,
    agree_to_remove,
    preview_removal,
    remove_tenant,
    removed_tenant,
)


class Command(BaseCommand):
    help = (
        "Removes a tenant. Shows what would be erased; with --execute, run by two people one after the other, erases "
        "everything, destroys its keys and issues a signed receipt. What a hold defers stays. May be"
        " repeated, for the receipt too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--reason", required=True, metavar="TEXT")
        parser.add_argument(
            "--basis", required=True, metavar="TEXT", help="the contract or the law that requires it"
        )
        parser.add_argument(
            "--execute", action="store_true", help="ask for it, or agree to what another person asked for"
        )
        parser.add_argument(
            "--receipt",
            type=Path,
            metavar="FILE",
            help="write the signed receipt there, as soon as there is one",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, name: str, json: bool, **options: Any) -> None:
        receipt: Path | None = options["receipt"]
        if receipt is not None:
            refuse_unwritable(receipt)
        try:
            concluded = removed_tenant(name) or self._proceed(name, json, options)
        except Refused as error:
            raise CommandError(error.detail) from error
        if concluded is None:
            return
        tenant, case = concluded
        if receipt is not None and case.receipt is not None:
            write_receipt(case, receipt)
        self._show_case(tenant, case, json)
        if case.state == CaseState.MIRRORS_PENDING:
            raise CommandError(f"Not verified yet: {case.last_error}. Run it again, or let the worker go on.")

    def _proceed(
        self, name: str, json: bool, options: Mapping[str, Any]
    ) -> tuple[Tenant, ErasureCase] | None:
        """One step further; None while nothing was erased."""
        actor = operator(options)
        tenant = get_tenant(name)
        preview = preview_removal(tenant)
        if not options["execute"]:
            self._show_preview(tenant, preview, json)
            return None
        removal = agree_to_remove(
            tenant=tenant, reason=options["reason"], basis=options["basis"], actor=actor
        )
        if removal.approved_by is None:
            self._show_request(tenant, removal, json)
            return None
        return tenant, self._remove(removal, actor, json)

    def _remove(self, removal: TenantRemoval, actor: Actor, json: bool) -> ErasureCase:
        with watching(None if json else self.stdout.write) as advance:
            return remove_tenant(removal, actor=actor, advance=advance)

    def _show_preview(self, tenant: Tenant, preview: Preview, json: bool) -> None:
        if json:
            shown = {
                "tenant": tenant.name,
                "executed": False,
                "counts": preview.counts,
                "holds": preview.holds,
            }
            self.stdout.write(msgspec.json.encode(shown).decode())
            return
        for name, count in preview.counts.items():
            self.stdout.write(f"{count:>12} {name.replace('_', ' ')}")
        self.stdout.write(f"{preview.holds} legal holds in force: what they cover stays, beyond use.")
        self.stdout.write(f"To keep a copy first: manage.py export_tenant {tenant.name} DIR")
        self.stdout.write(
            "Nothing was changed. --execute asks for it; another person then has to do the same."
        )

    def _show_request(self, tenant: Tenant, removal: TenantRemoval, json: bool) -> None:
        if json:
            shown = {"tenant": tenant.name, "executed": False, "requested_by": removal.requested_by}
            self.stdout.write(msgspec.json.encode(shown).decode())
        else:
            self.stdout.write(
                f"Asked for by {removal.requested_by}. Another person has to run the same command."
            )

    def _show_case(self, tenant: Tenant, case: ErasureCase, json: bool) -> None:
        if json:
            shown = {"tenant": tenant.name, "executed": True, "case": present_case(case)}
            self.stdout.write(msgspec.json.encode(shown).decode())
        else:
            state = CaseState(case.state).label.lower()
            self.stdout.write(f"Case {case.id}: {state}, {case.keys_destroyed} keys destroyed.")
            if case.receipt is not None:
                self.stdout.write(
                    "Its signed receipt: the same command with --receipt FILE writes it, at any time."
                )
