from typing import Any

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.backends.embedders import EmbeddingProfile, configured_profiles
from conversations.management.progress import watching
from conversations.mirror.rebuilding import RebuildFailed, move_messages


class Command(BaseCommand):
    help = "Embeds all messages with another profile into a collection of its own, then searches there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--profile", required=True, metavar="NAME", help="as EMBEDDING_PROFILES names it")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, profile: str, json: bool, **options: Any) -> None:
        chosen = _chosen(profile)
        try:
            with watching(None if json else self.stdout.write) as advance:
                done = move_messages(chosen, advance)
        except RebuildFailed as error:
            raise CommandError(f"{error} Nothing was switched: what was in use still is.") from error
        if json:
            report = {"profile": chosen.name, "rows": done.rows, "refused": done.refused}
            self.stdout.write(msgspec.json.encode(report).decode())
        else:
            self.stdout.write(f"{done.rows} rows embedded; messages are searched with {chosen.name} now.")


def _chosen(name: str) -> EmbeddingProfile:
    try:
        profile = EmbeddingProfile.parse(name)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    known = configured_profiles()
    if profile not in known:
        names = ", ".join(each.name for each in known)
        raise CommandError(f"EMBEDDING_PROFILES does not name {profile.name}; it names {names}.")
    return profile
