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
        if trouble := _trouble(verdicts, repair):
            raise CommandError(trouble)


def _trouble(verdicts: Mapping[str, Verdict | None], repair: bool) -> str:
    asked = {name: verdict for name, verdict in verdicts.items() if verdict is not None}
    away = [name for name, verdict in asked.items() if verdict.unreachable]
    different = [name for name, verdict in asked.items() if not verdict.agrees and name not in away]
    sentences = []
    if different:
        sentences.append(f"Different from PostgreSQL: {', '.join(different)}.")
        if not repair:
            sentences.append("`manage.py verify_mirrors --repair` repairs that.")
    if away:
        sentences.append(f"Not reached, so not verified: {', '.join(away)}.")
    return " ".join(sentences)


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
