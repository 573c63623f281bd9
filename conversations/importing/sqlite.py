"""SQLite files with tables of sessions and messages, read-only; `--mapping` renames tables and columns."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from conversations import strict_json
from conversations.exceptions import Invalid, MalformedJSON
from conversations.importing.foreign import (
    a_name,
    a_name_or_none,
    message_of,
    nested_object,
    session_of,
)
from conversations.importing.identity import identity
from conversations.importing.moments import moment_of, role_of
from conversations.importing.records import ImportedMessage, ImportedSession, LineError, Origin, Record
from conversations.inputs import JSONObject

_SESSION_TEXTS = ("channel", "language", "outlet_id", "title")
_MESSAGE_TEXTS = ("name", "intent", "language", "turn_id", "model")
_COLUMNS = {
    "sessions": ("session_id", "user_id", "created_at", "metadata", *_SESSION_TEXTS),
    "messages": (
        *("id", "session_id", "message_id", "role", "content", "timestamp", "metadata", "user_id"),
        *("intent_confidence", *_MESSAGE_TEXTS),
    ),
}
_ORDER = ("timestamp", "created_at", "id")
_REQUIRED = {"sessions": {"session_id"}, "messages": {"session_id", "role", "content", "timestamp"}}


class TableMapping(Struct, forbid_unknown_fields=True, frozen=True):
    """The name of a table, and of those columns that are not named as ours."""

    table: str | None = None
    columns: dict[str, str] = {}


class Mapping(Struct, forbid_unknown_fields=True, frozen=True):
    sessions: TableMapping = TableMapping()
    messages: TableMapping = TableMapping()


DEFAULT_MAPPING = Mapping()


class _Table(NamedTuple):
    """A table to read: our names of its columns, and the statement that selects them in order."""

    file: str
    name: str
    columns: tuple[str, ...]
    select: str


def parse_mapping(body: bytes) -> Mapping:
    """The mapping of a JSON file; Invalid when it names unknown columns."""
    try:
        mapping = strict_json.decode(body, Mapping)
    except MalformedJSON as problem:
        raise Invalid(detail=problem.detail) from None
    for kind, known in _COLUMNS.items():
        if strangers := set(getattr(mapping, kind).columns) - set(known):
            allowed = f"Must be one of {', '.join(known)}."
            raise Invalid.field(f"{kind}.columns.{min(strangers)}", allowed, code="unknown_field")
    return mapping


def records(path: Path, mapping: Mapping, now: datetime) -> Iterator[Record | LineError]:
    """The sessions, then the messages by time. Invalid at once when the file does not fit the mapping."""
    with closing(_open(path)) as database:
        try:
            sessions = _find(database, path, "sessions", mapping.sessions)
            messages = _find(database, path, "messages", mapping.messages)
        except sqlite3.Error as error:
            raise Invalid(detail=f"{path.name}: {error}.") from None
    if messages is None:
        raise Invalid(detail=f"{path.name}: there is no table of messages; name it with a mapping.")
    return _read(path, [table for table in (sessions, messages) if table], now)


def _open(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise Invalid(detail=f"{path.name}: {error}.") from None
    database.text_factory = bytes
    return database


def _find(database: sqlite3.Connection, path: Path, kind: str, mapping: TableMapping) -> _Table | None:
    """The table, or None if it does not exist; Invalid if a mapping names what does not exist."""
    name = mapping.table or kind
    there = {column[1].decode() for column in database.execute("SELECT * FROM pragma_table_info(?)", (name,))}
    if not there and not mapping.table:
        return None
    chosen = {ours: mapping.columns.get(ours, ours) for ours in _COLUMNS[kind]}
    needed = {chosen[ours] for ours in _REQUIRED[kind]} | set(mapping.columns.values())
    if missing := sorted(needed - there):
        raise Invalid(detail=f"{path.name}: table {name} has no column {missing[0]}.")
    present = {ours: theirs for ours, theirs in chosen.items() if theirs in there}
    order = ", ".join(_in_order(ours, present[ours]) for ours in _ORDER if ours in present)
    select = f"SELECT {', '.join(map(_quoted, present.values()))} FROM {_quoted(name)}"
    return _Table(path.name, kind, tuple(present), f"{select} ORDER BY {order}" if order else select)


def _in_order(ours: str, theirs: str) -> str:
    """Times as moments first: as texts, `10:00:01Z` comes after `10:00:02+00:00`, and after any without a T."""
    column = _quoted(theirs)
    return column if ours == "id" else f"julianday({column}), {column}"


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _read(path: Path, tables: list[_Table], now: datetime) -> Iterator[Record | LineError]:
    with closing(_open(path)) as database:
        for table in tables:
            number = 0
            try:
                for number, values in enumerate(database.execute(table.select), start=1):
                    yield _record(table, number, values, now)
            except sqlite3.Error as error:
                origin = Origin(f"{table.file}:{table.name}", number + 1)
                yield LineError(origin, "unreadable", f"The rows from here on cannot be read: {error}.")


def _record(table: _Table, number: int, values: tuple[Any, ...], now: datetime) -> Record | LineError:
    row = dict(zip(table.columns, values, strict=True))
    origin = Origin(f"{table.file}:{table.name}", row["id"] if isinstance(row.get("id"), int) else number)
    try:
        row = {name: _decoded(value, name) for name, value in row.items()}
        return (_session if table.name == "sessions" else _message)(row, origin, now)
    except Invalid as problem:
        return LineError.of(origin, problem)


def _decoded(value: Any, field: str) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Invalid.field(field, "Not valid UTF-8.", code="bad_encoding") from None
    if "\0" in text:
        raise Invalid.field(field, "U+0000 cannot be stored.")
    return text


def _session(row: JSONObject, origin: Origin, now: datetime) -> ImportedSession:
    source_id = a_name(row["session_id"], "session_id")
    fields: JSONObject = {
        "external_id": source_id,
        "customer_id": a_name_or_none(row.get("user_id"), "user_id"),
        "metadata": nested_object(row.get("metadata"), "metadata"),
        "created_at": _moment(row.get("created_at"), "created_at"),
    }
    fields |= {name: a_name_or_none(row.get(name), name) for name in _SESSION_TEXTS}
    return ImportedSession(origin, identity("session", source_id), source_id, session_of(fields, now))


def _message(row: JSONObject, origin: Origin, now: datetime) -> ImportedMessage:
    session = a_name(row["session_id"], "session_id")
    external_id = a_name_or_none(row.get("message_id"), "message_id")
    source_id = a_name_or_none(row.get("id"), "id") or external_id
    fields: JSONObject = {
        "external_id": external_id,
        "role": role_of(row["role"], "role"),
        "content": row["content"],
        "intent_confidence": row.get("intent_confidence"),
        "metadata": nested_object(row.get("metadata"), "metadata"),
        "created_at": _moment(row["timestamp"], "timestamp"),
    }
    fields |= {name: a_name_or_none(row.get(name), name) for name in _MESSAGE_TEXTS}
    return ImportedMessage(
        origin=origin,
        # Without ids, time and content identify a message.
        key=identity("message", session, source_id or f"{row['timestamp']}\0{row['role']}\0{row['content']}"),
        source_id=source_id,
        session=session,
        customer=a_name_or_none(row.get("user_id"), "user_id"),
        given=message_of(fields, now),
    )


def _moment(raw: Any, field: str) -> datetime | None:
    return None if raw in (None, "") else moment_of(raw, field)
