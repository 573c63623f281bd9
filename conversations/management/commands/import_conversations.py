from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from conversations import ids
from conversations.exceptions import Refused
from conversations.importing import DEFAULT_MAPPING, Format, Mapping, parse_mapping, read_records
from conversations.management.operators import add_operator, operator
from conversations.management.progress import watching
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.accounts.tenants import get_tenant
from conversations.services.imports.running import ImportReport, import_records
from conversations.tenancy import tenant_scope

SHOWN = 20  # errors shown without --json


class Command(BaseCommand):
    help = (
        "Stores conversations from other systems with their own times. Good lines are stored, broken ones reported by"
        " number. Run again, the same import continues where it stopped and stores nothing twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, metavar="FILE|DIR")
        parser.add_argument("--tenant", required=True, metavar="NAME")
        parser.add_argument(
            "--format",
            required=True,
            choices=[one.value for one in Format],
            help="jsonl: a line is an object: session, message (where missing), memory, portrait, customer or summary",
        )
        parser.add_argument(
            "--mapping", type=Path, metavar="FILE", help="sqlite: JSON that names other tables and columns"
        )
        parser.add_argument("--dry-run", action="store_true", help="read and check, store nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, source: Path, tenant: str, json: bool, **options: Any) -> None:
        if options["mapping"] and options["format"] != Format.SQLITE:
            raise CommandError("--mapping is for --format sqlite.", returncode=2)
        try:
            tenant_id = get_tenant(tenant).id
            report = self._import(tenant_id, source, options, quiet=json)
        except Refused as error:
            raise CommandError(error.detail) from error
        except OSError as error:
            raise CommandError(f"{error.filename or source}: {error.strerror}.") from error
        except DatabaseError as error:
            # Its text may repeat what a line says.
            reason = type(error).__name__
            raise CommandError(f"Stopped by {reason}. Run the same command to continue.") from error
        self._tell(report, json)
        if report.failed:
            others = "nothing is stored by a dry run" if report.dry_run else "the others are stored"
            raise CommandError(f"Lines not understood: {report.failed}; {others}.")

    def _import(self, tenant_id: UUID, source: Path, options: dict[str, Any], *, quiet: bool) -> ImportReport:
        mapping = _read_mapping(options["mapping"]) if options["mapping"] else DEFAULT_MAPPING
        records = read_records(source, Format(options["format"]), now=ids.now(), mapping=mapping)
        expected = 0 if quiet or options["format"] == Format.SQLITE else _count_lines(source)
        with watching(None if quiet else self.stdout.write) as advance:
            report = import_records(
                tenant_id=tenant_id,
                records=records,
                dry_run=options["dry_run"],
                advance=lambda what, done: advance(what, done, max(done, expected)),
            )
        if not options["dry_run"]:
            _record(tenant_id, operator(options), report, options["format"])
        return report

    def _tell(self, report: ImportReport, json: bool) -> None:
        if json:
            self.stdout.write(msgspec.json.encode(report).decode())
            return
        for error in report.errors[:SHOWN]:
            self.stderr.write(f"{error['file']}, line {error['line']}: {error['code']}: {error['detail']}")
        if report.failed > SHOWN:
            self.stderr.write(f"and {report.failed - SHOWN} more; --json tells them all.")
        if report.dry_run:
            self.stdout.write(
                f"{report.messages} messages of {report.sessions} sessions, {report.skipped} stored before. "
                "Nothing was stored: this was a dry run."
            )
        else:
            self.stdout.write(
                f"{report.stored} of {report.messages} messages of {report.sessions} sessions stored, "
                f"{report.skipped} had been, in {report.seconds:.1f} s."
            )


def _read_mapping(path: Path) -> Mapping:
    try:
        return parse_mapping(path.read_bytes())
    except Refused as error:
        raise CommandError(f"{path}: {error.detail}") from error


def _count_lines(source: Path) -> int:
    """About how much there is to do."""
    total = 0
    for path in [source] if source.is_file() else source.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                while chunk := file.read(1024 * 1024):
                    total += chunk.count(b"\n")
    return total


def _record(tenant_id: UUID, actor: Actor, report: ImportReport, format_: str) -> None:
    counts = {name: getattr(report, name) for name in ("sessions", "messages", "stored", "skipped", "failed")}
    with tenant_scope(tenant_id):
        audit.record(
            tenant_id=tenant_id,
            actor=actor,
            action="tenant.imported",
            object_type="tenant",
            object_id=tenant_id,
            details={"format": format_, **counts},
        )
