from dataclasses import asdict
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.management.progress import watching
from conversations.mirror.switching import Ensured, ensure_sinks


class Command(BaseCommand):
    help = "Creates missing indexes and collections, and switches stores on or off as the settings say. Idempotent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, json: bool = False, **options: Any) -> None:
        with watching(None if json else self.stdout.write) as advance:
            done = ensure_sinks(advance)
        if json:
            report = {ensured.sink.name.lower(): asdict(ensured) for ensured in done}
            self.stdout.write(msgspec.json.encode(report).decode())
        else:
            for ensured in done:
                self.stdout.write(_told(ensured))
        if away := [ensured for ensured in done if ensured.unreachable]:
            reasons = "; ".join(f"{each.sink.label}: {each.unreachable}" for each in away)
            raise CommandError(f"{reasons}. Run `manage.py ensure_indexes` again when it answers.")


def _told(ensured: Ensured) -> str:
    name = str(ensured.sink.label)
    if not ensured.enabled:
        return f"{name}: off."
    parts = [f"made {', '.join(ensured.made)}"] if ensured.made else []
    parts += ["rebuilt, as its mappings have changed"] if ensured.rebuilt else []
    parts += [f"{ensured.enqueued} rows on their way"] if ensured.enqueued else []
    parts += [f"not reached ({ensured.unreachable})"] if ensured.unreachable else []
    return f"{name}: {'; '.join(parts) or 'all there'}."
