"""Backing up and restoring as tests do it, and what a database holds afterwards."""

from pathlib import Path

from django.db import connections

from conversations.principals import SYSTEM
from conversations.services.operations import backups
from conversations.services.operations.backups import back_up, keys_file
from retention.services.restoring import restore

EPOCH = ("conversations_session", "epoch")


def back(file: Path):
    return back_up(file, actor=SYSTEM, advance=quiet)


def bring_back(file: Path, keys: Path | None = None, **options):
    return restore(file, keys or keys_file(file), actor=SYSTEM, advance=quiet, **options)


def dump() -> dict[str, list[str]]:
    """Every row of every table that a backup is to bring back, as text."""
    found = {}
    with connections["owner"].cursor() as cursor:
        for table in backups.list_tables():
            if table.name in backups.LEFT_OUT or table.name == backups.OUTBOX:
                continue
            columns = ", ".join(f't."{c}"::text' for c in table.columns if (table.name, c) != EPOCH)
            cursor.execute(f'SELECT ROW({columns})::text FROM "{table.name}" t')
            found[table.name] = sorted(text for (text,) in cursor.fetchall())
    return found


def quiet(what, done, total):
    assert done <= max(done, total)
