import sys
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.exceptions import Refused
from conversations.management.operators import add_operator, operator
from conversations.management.progress import Advance, watching
from conversations.services.operations import backups
from retention.ledger import LedgerBroken
from retention.services.restoring import Restored, restore, resume


class Command(BaseCommand):
    help = (
        "Restores a backup in the place of what the database holds now. The files are verified before anything is "
        "touched; nobody is served until everybody who was erased since the backup is erased again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
        parser.add_argument("--keys", type=Path, metavar="FILE.keys", help="the newest keys there are")
        parser.add_argument("--replace", action="store_true", help="do not ask at a terminal")
        parser.add_argument(
            "--without-ledger",
            action="store_true",
            help="accept that the erasure ledger is lost or truncated",
        )
        parser.add_argument("--resume", action="store_true", help="continue an interrupted restore")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        add_operator(parser)

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        if not options["resume"] and (options["file"] is None or options["keys"] is None):
            raise CommandError("FILE and --keys FILE.keys are needed (or --resume).", returncode=2)
        if not options["resume"] and not options["replace"] and not _is_given_up():
            raise CommandError("Nothing was changed.")
        try:
            with watching(None if json else self.stdout.write) as advance:
                done = _restore(options, advance)
        except Refused as error:
            raise CommandError(error.detail) from error
        except LedgerBroken as error:
            raise CommandError(
                f"{error} Nobody is served until it is repaired and `restore --resume` has run."
            ) from error
        if json:
            self.stdout.write(msgspec.json.encode(done).decode())
        else:
            self.stdout.write(_told(done))
        if done.stale:
            stores = " and ".join(f"`manage.py rebuild_index --store {name}`" for name in done.stale)
            reasons = "; ".join(f"{name}: {reason}" for name, reason in done.stale.items())
            raise CommandError(
                f"Restored and served, but not every store could be rebuilt ({reasons}). Run {stores}."
            )


def _is_given_up() -> bool:
    """Whether what the database holds may go. A person at a terminal is asked; a script has decided."""
    if not sys.stdin.isatty() or not backups.is_in_use():
        return True
    sys.stderr.write("This database is in use. Give up everything in it for the backup? Type yes: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == "yes"


def _restore(options: dict[str, Any], advance: Advance) -> Restored:
    actor = operator(options)
    if options["resume"]:
        return resume(actor=actor, advance=advance)
    return restore(
        options["file"],
        options["keys"],
        actor=actor,
        advance=advance,
        without_ledger=options["without_ledger"],
    )


def _told(done: Restored) -> str:
    if not done.loaded:
        return "There is no interrupted restore. The database is as it was, and everybody is served."
    replayed = done.replayed
    return "\n".join(
        [
            f"{done.rows} rows restored. Erasure ledger: {replayed.opened} erased again, {replayed.known} known, "
            f"{replayed.absent} not in the backup, {len(replayed.removed)} tenants removed again.",
            f"Rebuilt: {', '.join(done.rebuilt) or 'no store is switched on'}.",
            "API keys, people and their passwords are those of the backup: revoke again what was revoked since. What a "
            "new data folder's credentials.json names is void.",
        ]
    )
