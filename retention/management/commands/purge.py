from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.models import Tenant
from conversations.principals import Actor
from conversations.services.accounts.tenants import all_tenants, get_tenant
from retention.enums import RecordClass, RunState
from retention.presenters import show_preview, show_run
from retention.services.audit.pruning import prune_audit
from retention.services.purges.partition_drops import DROPPABLE, drop_ended_partitions
from retention.services.purges.runs import preview, purge

_DONE = (
    "{tenant}, {class}: {candidates} due, {held} held, {archived} archived, {destroyed} destroyed: {state}"
)
_DUE = "{tenant}, {class}: {candidates} due, {held} held (older than {cutoff:%Y-%m-%d %H:%M} UTC)"


class Command(BaseCommand):
    help = "Counts what has reached the end of its period; with --execute, archives or destroys it as the policy says."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="default: every tenant")
        parser.add_argument("--class", dest="record_class", choices=RecordClass.values, help="default: all")
        parser.add_argument("--execute", action="store_true", help="without it nothing is changed")
        parser.add_argument(
            "--force",
            action="store_true",
            help="go on where the fuse stops it: when far more is due than time alone explains",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, execute: bool, json: bool, **options: Any) -> None:
        try:
            tenants = [get_tenant(options["tenant"])] if options["tenant"] else all_tenants()
        except Refused as error:
            raise CommandError(error.detail) from error
        chosen = options["record_class"]
        classes = [RecordClass(chosen)] if chosen else list(RecordClass)
        actor = operator(options)
        if execute and not options["tenant"]:
            _drop_partitions(classes, actor, options["force"])
        shown = []
        for tenant in tenants:
            found = (
                _purges(tenant, classes, actor, options["force"]) if execute else _previews(tenant, classes)
            )
            for one in found:
                shown.append({"tenant": tenant.name, **one})
                if not json:
                    self._tell(shown[-1])
        if json:
            self.stdout.write(msgspec.json.encode({"executed": execute, "runs": shown}).decode())
        elif not execute:
            self.stdout.write("Nothing was changed. Run it with --execute to purge.")
        _refuse_if_stopped(shown)

    def _tell(self, run: dict[str, Any]) -> None:
        self.stdout.write((_DUE if run["state"] is None else _DONE).format(**run))
        if run["samples"]:
            self.stdout.write(f"  such as {', '.join(str(sample) for sample in run['samples'][:3])}")


def _previews(tenant: Tenant, classes: Sequence[RecordClass]) -> Iterator[dict[str, Any]]:
    for one in preview(tenant_id=tenant.id, classes=tuple(classes)):
        yield show_preview(one)


def _purges(
    tenant: Tenant, classes: Sequence[RecordClass], actor: Actor, force: bool
) -> Iterator[dict[str, Any]]:
    for record_class in classes:
        run = purge(tenant_id=tenant.id, record_class=record_class, actor=actor, force=force)
        if run is None:
            raise CommandError(f"Another purge of {tenant.name}, {record_class.value}, is running.")
        yield show_run(run)


def _drop_partitions(classes: Sequence[RecordClass], actor: Actor, force: bool) -> None:
    """First what can go at once; its rows are counted in the runs that follow."""
    for record_class in DROPPABLE:
        if record_class in classes:
            drop_ended_partitions(record_class=record_class, actor=actor, force=force)
    if RecordClass.ARCHIVE in classes:
        prune_audit(actor=actor)


def _refuse_if_stopped(runs: Sequence[dict[str, Any]]) -> None:
    stopped = [run for run in runs if run["state"] == RunState.STOPPED]
    if stopped:
        named = ", ".join(f"{run['tenant']} {run['class']} ({run['candidates']} due)" for run in stopped)
        raise CommandError(
            f"The fuse stopped: {named}. That is far more than time alone explains; look at the policy and the clock, "
            "then confirm the run or pass --force."
        )
