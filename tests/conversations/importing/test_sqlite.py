import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from conversations.exceptions import Invalid
from conversations.importing import Format, ImportedMessage, ImportedSession, parse_mapping
from tests.conversations.importing.factories import errors_of, good, read, words

TABLES = """
    CREATE TABLE sessions (session_id TEXT, user_id TEXT, channel TEXT, created_at TEXT);
    CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id TEXT, message_id TEXT, role TEXT, content TEXT,
        timestamp, metadata TEXT);
"""


def database(tmp_path, *statements, script=TABLES):
    path = tmp_path / "chat #1?.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        for statement, *values in statements:
            connection.execute(statement, values)
        connection.commit()
    return path


def message(id_=1, session="s1", role="user", content="hi", at="2026-01-01 10:00:00", metadata=None):
    return (
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
        id_,
        session,
        f"m{id_}",
        role,
        content,
        at,
        metadata,
    )


def test_sessions_come_first_then_messages_by_time(tmp_path):
    path = database(
        tmp_path,
        message(1, content="second", at="2026-01-01 11:00:00", metadata='{"device": "Paradise"}'),
        message(2, content="first", role="assistant"),
        ("INSERT INTO sessions VALUES ('s1', 'c1', 'web', '2026-01-01T09:00:00Z')",),
    )

    session, *messages = read(path, Format.SQLITE)

    assert isinstance(session, ImportedSession)
    assert (session.given.external_id, session.given.customer_id, session.given.channel) == (
        "s1",
        "c1",
        "web",
    )
    assert session.given.created_at == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert words(messages) == [("s1", "assistant", "first"), ("s1", "user", "second")]
    assert messages[1].given.metadata == {"device": "Paradise"}
    assert messages[1].given.external_id == "m1"


def test_times_written_in_several_ways_are_in_order(tmp_path):
    path = database(
        tmp_path,
        message(1, content="third", at="2026-01-01 10:00:02"),
        message(2, content="second", at="2026-01-01T10:00:01Z"),
        message(3, content="first", at="2026-01-01T11:00:00+01:00"),
    )

    assert [content for _, _, content in words(read(path, Format.SQLITE))] == ["first", "second", "third"]


@pytest.mark.parametrize(
    "at", [1_767_225_600, 1_767_225_600.0, 1_767_225_600_000, "1767225600", "1767225600.0"]
)
def test_unix_times_are_understood(tmp_path, at):
    (record,) = read(database(tmp_path, message(at=at)), Format.SQLITE)

    assert record.given.created_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_file_of_messages_alone_is_enough(tmp_path):
    path = database(
        tmp_path,
        ("INSERT INTO messages VALUES ('s1', 'human', 'hi', '2026-01-01')",),
        script="CREATE TABLE messages (session_id, role, content, timestamp)",
    )

    (record,) = read(path, Format.SQLITE)

    assert isinstance(record, ImportedMessage)
    assert words([record]) == [("s1", "user", "hi")]


def test_a_mapping_names_other_tables_and_columns(tmp_path):
    path = database(
        tmp_path,
        ("""INSERT INTO "chat ""log" VALUES (5, 'hello', 'user', 'conv', '2026-01-01')""",),
        script="""CREATE TABLE "chat ""log" (nr INTEGER, "the text" TEXT, who TEXT, conv TEXT, "at;--" TEXT)""",
    )
    columns = {"id": "nr", "content": "the text", "role": "who", "session_id": "conv", "timestamp": "at;--"}
    mapping = parse_mapping(json.dumps({"messages": {"table": 'chat "log', "columns": columns}}).encode())

    (record,) = read(path, Format.SQLITE, mapping=mapping)

    assert words([record]) == [("conv", "user", "hello")]
    assert record.source_id == "5"


@pytest.mark.parametrize(
    "mapping",
    [
        {"messages": {"table": "nowhere"}},
        {"sessions": {"table": "nowhere"}},
        {"messages": {"columns": {"content": "body"}}},
        {"messages": {"columns": {"metadata": "extra"}}},
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_at_once(tmp_path, mapping):
    path = database(tmp_path, message())

    with pytest.raises(Invalid):
        read(path, Format.SQLITE, mapping=parse_mapping(json.dumps(mapping).encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"customers": {}}',
        b'{"messages": {"columns": {"sealed": "x"}}}',
        b'{"messages": {"columns": {"content": 1}}}',
        b'{"messages": {"query": "DELETE FROM messages"}}',
    ],
)
def test_a_mapping_says_only_names(body):
    with pytest.raises(Invalid):
        parse_mapping(body)


def test_the_file_is_not_written(tmp_path):
    path = database(tmp_path, message())
    before = path.read_bytes(), sorted(tmp_path.iterdir())

    read(path, Format.SQLITE)

    assert (path.read_bytes(), sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize("content", [b"SQLite format 3\x00" + b"\xff" * 5_000, b"no database", b""])
def test_a_file_that_is_no_database_is_refused(tmp_path, content):
    path = tmp_path / "broken.db"
    path.write_bytes(content)

    with pytest.raises(Invalid):
        read(path, Format.SQLITE)


def test_a_database_that_breaks_off_is_an_error(tmp_path):
    path = database(tmp_path, *(message(number, content="x" * 500) for number in range(1, 400)))
    body = path.read_bytes()
    page = 4_096
    path.write_bytes(body[: -4 * page] + b"\xff" * 2 * page + body[-2 * page :])

    records = read(path, Format.SQLITE)

    assert [code for _, code in errors_of(records)] == ["unreadable"]


@pytest.mark.parametrize(
    "broken",
    [
        message(2, session=None),
        message(2, role="wizard"),
        message(2, role=None),
        message(2, content=None),
        message(2, content=b"caf\xe9"),
        message(2, content="a\0b"),
        message(2, at="2027-01-01"),
        message(2, at="noon"),
        message(2, metadata="{"),
        message(2, metadata="[]"),
    ],
)
def test_a_broken_row_is_an_error_that_names_its_id(tmp_path, broken):
    records = read(database(tmp_path, message(1), broken, message(3)), Format.SQLITE)

    assert [line for line, _ in errors_of(records)] == [2]
    assert len(good(records)) == 2
