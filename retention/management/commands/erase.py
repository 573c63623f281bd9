from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Gone, Refused
from conversations.management.durations import seconds
from conversations.management.operators import add_operator, operator
from conversations.services.accounts.tenants import get_tenant
from conversations.tenancy import tenant_scope
from retention.enums import CaseState
from retention.management.receipt_files import refuse_unwritable, write_receipt
from retention.models import ErasureCase
from retention.services.erasures.cases import Request, get_case, open_erasure, present_case
from retention.services.erasures.execution import carry_out

BASIS = "GDPR 17 (1)"


class Command(BaseCommand):
    help = "Erases a customer: hidden and unreadable at once, proven by a signed receipt when every store has answered."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="NAME")
        parser.add_argument("--customer", required=True, metavar="ID", help="the customer's own external id")
        parser.add_argument("--reason", required=True, metavar="TEXT")
        parser.add_argument(
            "--basis", default=BASIS, metavar="TEXT", help=f"the legal basis (default: {BASIS})"
        )
        parser.add_argument("--wait", action="store_true", help="wait for the receipt")
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=600,
            metavar="SECONDS",
            help="how long to wait at most (default: %(default)s)",
        )
        parser.add_argument(
            "--receipt",
            type=Path,
            metavar="FILE",
            help="wait, and write the receipt there; of who was erased before, too",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, tenant: str, customer: str, json: bool, **options: Any) -> None:
        receipt: Path | None = options["receipt"]
        if receipt is not None:
            refuse_unwritable(receipt)
        try:
            case = self._open(get_tenant(tenant).id, customer, options)
        except Refused as error:
            raise CommandError(error.detail) from error
        if options["wait"] or receipt is not None:
            case = carry_out(case, timeout=options["timeout"])
        if receipt is not None and case.receipt is not None:
            write_receipt(case, receipt)
        self._report(case, json)
        if (options["wait"] or receipt is not None) and case.receipt is None:
            raise CommandError(
                f"Not verified yet: {case.last_error or 'time is over'}. It continues by itself."
            )

    def _open(self, tenant_id: UUID, customer: str, options: Mapping[str, Any]) -> ErasureCase:
        """The case of this customer: a new one or, where only its receipt is wanted, the one there is."""
        try:
            return open_erasure(
                tenant_id=tenant_id,
                request=Request(customer_id=customer),
                reason=options["reason"],
                basis=options["basis"],
                actor=operator(options),
            )
        except Gone as error:
            if options["receipt"] is None or error.case_id is None:
                raise CommandError(f"{error.detail} Case {error.case_id or 'unknown'}.") from error
            with tenant_scope(tenant_id):
                return get_case(tenant_id, UUID(error.case_id))

    def _report(self, case: ErasureCase, json: bool) -> None:
        if json:
            self.stdout.write(msgspec.json.encode(present_case(case)).decode())
            return
        self.stdout.write(
            f"Case {case.id}: {CaseState(case.state).label.lower()}, {case.keys_destroyed} keys destroyed."
        )
        for deferral in case.deferrals:
            ground = deferral["matter"] or deferral["basis"]
            until = deferral["until"] or "its release"
            self.stdout.write(f"Deferred: {deferral['records']} records, {ground}, until {until}.")
