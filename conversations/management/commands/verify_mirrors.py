from collections.abc import Mapping
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.enums import Sink
from conversations.exceptions import NotFound
from conversations.mirror.verifying import Verdict, verify
from conversations.services.accounts.tenants import all_tenants, get_tenant

NAMES = {Sink.LEXICAL: "postgresql", Sink.ELASTICSEARCH: "elasticsearch", Sink.MILVUS: "milvus"}


class Command(BaseCommand):
    help = (
        "Compares every mirror with PostgreSQL, day by day; exit status 1 when they differ or do not answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="this tenant only")
        parser.add_argument(
            "--repair", action="store_true", help="repair what differs, missing indexes included"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, tenant: str | None, repair: bool, json: bool, **options: Any) -> None:
        try:
            tenants = [get_tenant(tenant)] if tenant else all_tenants()
        except NotFound as error:
            raise CommandError(error.detail) from error
        ids = [found.id for found in tenants]
        tell = (lambda _: None) if json else self.stdout.write
        verdicts = {name: verify(sink, ids, repair=repair, tell=tell) for sink, name in NAMES.items()}
        if json:
            self.stdout.write(msgspec.json.encode({name: _shown(v) for name, v in verdicts.items()}).decode())
        else:
            for name, verdict in verdicts.items():
                self.stdout.write(f"{name}: {_told(verdict)}")
        if away := [name for name, verdict in verdicts.items() if verdict is not None and not verdict.agrees]:
            raise CommandError(f"Different from PostgreSQL: {', '.join(away)}.{'' if repair else _ADVICE}")


_ADVICE = " `manage.py verify_mirrors --repair` repairs what can be reached."


def _shown(verdict: Verdict | None) -> Mapping[str, Any] | None:
    if verdict is None:
        return None
    if verdict.unreachable:
        return {"unreachable": True}
    return {
        "checked": verdict.checked,
        "missing": verdict.missing,
        "stale": verdict.stale,
        "extra": verdict.extra,
        "repaired": verdict.repaired,
    }


def _told(verdict: Verdict | None) -> str:
    if verdict is None:
        return "off"
    if verdict.unreachable:
        return f"not reached ({verdict.unreachable})"
    return (
        f"{verdict.checked} checked, {verdict.missing} missing, {verdict.stale} stale, {verdict.extra} extra, "
        f"{verdict.repaired} repaired"
    )
