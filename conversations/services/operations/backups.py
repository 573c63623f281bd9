"""Backups: everything in PostgreSQL as it is at one moment, the wrapped keys apart from what they open.

`DataKey` goes into a file of its own. Each new one supersedes those before it, so that whoever was erased since has no
key when an older backup is restored. Master and signing keys are in neither file: both name them by fingerprint.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from conversations import ids, keyring
from conversations.backup_files import (
    Backup,
    BackupWriter,
    Kind,
    Manifest,
    TableCopy,
    mark_of,
    writing,
)
from conversations.canonical import instant
from conversations.enums import GateState, KeyOwner, Sink
from conversations.exceptions import Conflict
from conversations.installation import signing_key
from conversations.models import Customer, DataKey, Memory, MirrorEvent, Session
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.accounts.tenants import all_tenants
from conversations.tenancy import tenant_scope

KEYS = DataKey._meta.db_table
# What is not a record: bookkeeping of this very database, what its mirrors know, and who is signed in.
LEFT_OUT = {
    "django_migrations",
    "django_session",
    "conversations_gate",
    "conversations_mirrorsink",
}
OUTBOX = MirrorEvent._meta.db_table
PATIENCE = "60s"  # for work that holds locks when everything is to be locked
# Tables with conversations or knowledge about people: a database with rows in them is in use.
IN_USE = (Customer, Session, Memory)

_TABLES = """
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum), c.relforcerowsecurity,
        greatest(c.reltuples, 0)::bigint + coalesce((
            SELECT sum(greatest(p.reltuples, 0))::bigint FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
            WHERE i.inhparent = c.oid), 0)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY c.oid, c.relname, c.relforcerowsecurity, c.reltuples ORDER BY c.relname
"""
_SEQUENCES = (
    "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"
)

Advance = Callable[[str, int, int], None]  # what is being worked on, how much is done, of about how much


@dataclass(frozen=True)
class Table:
    name: str
    columns: list[str]
    is_secured: bool  # row-level security is forced
    estimate: int  # rows, about


@dataclass(frozen=True)
class BackedUp:
    """A backup that was made."""

    id: UUID
    files: tuple[Path, Path]
    rows: int
    bytes: int
    masters: dict[str, str]
    signer: str


def keys_file(file: Path) -> Path:
    """The path of the file of keys."""
    return file.with_name(f"{file.name}.keys")


def back_up(file: Path, *, actor: Actor, advance: Advance) -> BackedUp:
    """Write both files; they appear together when everything is on disk. Conflict when one of them exists."""
    keys = keys_file(file)
    with writing(file) as writer, writing(keys) as keys_writer, _snapshot():
        backup_id, tables = ids.new_id(), list_tables()
        for table in tables:
            if table.name not in LEFT_OUT:
                _copy_out(table, keys_writer if table.name == KEYS else writer, advance)
        manifest = _manifest("backup", backup_id, writer.tables)
        writer.finish(manifest, signing_key())
        keys_writer.finish(_manifest("backup_keys", backup_id, keys_writer.tables), signing_key())
    _record(backup_id, actor)
    return BackedUp(
        id=backup_id,
        files=(file, keys),
        rows=sum(table.rows for table in (*writer.tables, *keys_writer.tables)),
        bytes=file.stat().st_size + keys.stat().st_size,
        masters=manifest.masters,
        signer=manifest.signer,
    )


def list_tables() -> list[Table]:
    """Every table there is, partitions counted as part of theirs."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(_TABLES)
        return [Table(*row) for row in cursor.fetchall()]


def applied_migrations() -> list[str]:
    applied = MigrationRecorder(connections["owner"]).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied)


def is_in_use() -> bool:
    """Whether this database holds conversations or knowledge about people."""
    return any(model._default_manager.using("owner").exists() for model in IN_USE)


def load(
    backup: Backup, keys: Backup, advance: Advance, *, before_commit: Callable[[], None] = lambda: None
) -> None:
    """Replace everything in the database by what the files hold: all of it, or nothing at all.

    One transaction, with every table locked: readers wait, and none sees a part. Triggers do not
    fire, for what they would write is in the backup too; sealed sessions' windows become stale by their epoch.
    """
    copies = {table.name: (table, backup) for table in backup.manifest.tables}
    copies |= {table.name: (table, keys) for table in keys.manifest.tables}
    tables = [table for table in list_tables() if table.name not in LEFT_OUT]
    if strangers := copies.keys() - {table.name for table in tables}:
        raise Conflict(f"The backup has a table that is unknown here: {sorted(strangers)[0]}.")
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        cursor.execute(f"LOCK TABLE {_names(tables)} IN ACCESS EXCLUSIVE MODE")
        with _bare(tables):
            cursor.execute(f"TRUNCATE {_names(tables)}")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for name, (table, source) in copies.items():
                _copy_in(table, source, advance)
                advance(name, table.rows, table.rows)
            # Keys of a newer file may belong to tenants that this backup does not know.
            cursor.execute(
                f"DELETE FROM {KEYS} k WHERE NOT EXISTS"
                " (SELECT FROM conversations_tenant t WHERE t.id = k.tenant_id)"
            )
            cursor.execute("UPDATE conversations_session SET epoch = epoch + 1000")
        _set_sequences(backup.manifest.sequences)
        cursor.execute("UPDATE conversations_gate SET state = %s", [GateState.REPLAYING])
        cursor.execute(f"ANALYZE {_names(tables)}")
        before_commit()


def _names(tables: Sequence[Table]) -> str:
    return ", ".join(f'"{table.name}"' for table in tables)


@contextmanager
def _snapshot() -> Iterator[None]:
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _copy_out(table: Table, writer: BackupWriter, advance: Advance) -> None:
    columns = ", ".join(f'"{column}"' for column in table.columns)
    # Only the outbox events for PostgreSQL's own search tables: other mirrors are rebuilt after a restore.
    condition = f"WHERE sink = {Sink.LEXICAL.value}" if table.name == OUTBOX else ""
    statement = f'COPY (SELECT {columns} FROM "{table.name}" {condition}) TO STDOUT'
    with connections["owner"].cursor() as cursor, cursor.copy(statement) as copy:
        written = writer.add_table(table.name, table.columns, _watched(copy, table, advance))
    advance(table.name, written.rows, written.rows)


def _watched(pieces: Iterator[memoryview], table: Table, advance: Advance) -> Iterator[memoryview]:
    for number, piece in enumerate(pieces):  # one for each row
        if number % 10_000 == 0 and number:
            advance(table.name, number, max(number, table.estimate))
        yield piece


def _copy_in(table: TableCopy, source: Backup, advance: Advance) -> None:
    columns = ", ".join(f'"{column}"' for column in table.columns)
    with (
        connections["owner"].cursor() as cursor,
        cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy,
    ):
        done = 0
        for data in source.read(table):
            copy.write(data)
            done += data.count(b"\n")
            advance(table.name, done, table.rows)


@contextmanager
def _bare(tables: Sequence[Table]) -> Iterator[None]:
    """Tables without their triggers, and without row-level security for their owner, until the block ends."""
    with connections["owner"].cursor() as cursor:
        for table in tables:
            cursor.execute(f'ALTER TABLE "{table.name}" DISABLE TRIGGER USER')
            if table.is_secured:
                cursor.execute(f'ALTER TABLE "{table.name}" NO FORCE ROW LEVEL SECURITY')
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with open checks cannot be altered
        for table in tables:
            cursor.execute(f'ALTER TABLE "{table.name}" ENABLE TRIGGER USER')
            if table.is_secured:
                cursor.execute(f'ALTER TABLE "{table.name}" FORCE ROW LEVEL SECURITY')


def _set_sequences(values: dict[str, int]) -> None:
    """Never back: a version that a mirror has seen must not be given again."""
    with connections["owner"].cursor() as cursor:
        for name, value in values.items():
            cursor.execute(
                "SELECT setval(format('%%I', sequencename)::regclass, greatest(last_value, %s))"
                " FROM pg_sequences WHERE schemaname = 'public' AND sequencename = %s",
                [value, name],
            )


def _manifest(kind: Kind, backup_id: UUID, tables: list[TableCopy]) -> Manifest:
    with connections["owner"].cursor() as cursor:
        cursor.execute(_SEQUENCES)
        sequences = dict(cursor.fetchall()) if kind == "backup" else {}
    wrapping = DataKey.objects.using("owner").filter(owner=KeyOwner.TENANT, wrapped__isnull=False)
    names = set(wrapping.order_by().values_list("wrapped_by", flat=True).distinct())
    present = keyring.master_keys().fingerprints()
    return Manifest(
        object=kind,
        id=backup_id,
        made_at=instant(ids.now()),
        migrations=applied_migrations(),
        masters={name: present.get(name, "unknown") for name in sorted(names)},
        signer=signing_key().public_key.fingerprint,
        ledger=mark_of(settings.ERASURE_LEDGER),
        tables=tables,
        sequences=sequences,
    )


def _record(backup_id: UUID, actor: Actor) -> None:
    for tenant in all_tenants():
        with tenant_scope(tenant.id):
            audit.record(
                tenant_id=tenant.id,
                actor=actor,
                action="backup.made",
                object_type="backup",
                object_id=backup_id,
            )
