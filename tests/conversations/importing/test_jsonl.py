from datetime import UTC, datetime

import pytest

from conversations.importing import (
    Format,
    ImportedCustomer,
    ImportedMemory,
    ImportedMessage,
    ImportedPortrait,
    ImportedPreferences,
    ImportedSession,
    LineError,
    Origin,
    SessionEnd,
)
from tests.conversations.importing.factories import errors_of, good, read, read_tree, words, write_lines

HELLO = {
    "session_id": "s1",
    "role": "user",
    "content": "hello",
    "created_at": "2026-01-01T10:00:00.000001+02:00",
}


def test_a_line_without_object_is_a_message(tmp_path):
    (record,) = read_tree(tmp_path, Format.JSONL, HELLO)

    assert isinstance(record, ImportedMessage)
    assert (record.origin, record.session) == (Origin("source.jsonl", 1), "s1")
    assert record.given.created_at == datetime(2026, 1, 1, 8, 0, 0, 1, tzinfo=UTC)


def test_every_kind_of_object_is_read(tmp_path):
    records = read_tree(
        tmp_path,
        Format.JSONL,
        {"object": "customer", "customer_id": "c1", "language": "zh", "metadata": {"vip": True}},
        {
            "object": "session",
            "id": "s1",
            "customer_id": "c1",
            "status": "closed",
            "outcome": {"success": True},
            "closed_at": "2026-01-02T00:00:00Z",
            "message_count": 1,
        },
        {"object": "message", **HELLO, "position": 1, "pii": [], "processing": {"mirrored": True}},
        {
            "object": "memory",
            "content": "likes jazz",
            "customer_id": "c1",
            "embedding": [0.5, 1.0],
            "profile": "p",
        },
        {
            "object": "portrait",
            "customer_id": "c1",
            "traits": [{"name": "skin", "value": "dry"}],
            "version": 3,
        },
        {"object": "preferences", "customer_id": "c1", "preferences": {"genre": "jazz"}},
    )

    assert [type(record) for record in records] == [
        ImportedCustomer,
        ImportedSession,
        ImportedMessage,
        ImportedMemory,
        ImportedPortrait,
        ImportedPreferences,
    ]
    assert records[1].end == SessionEnd("closed", {"success": True}, datetime(2026, 1, 2, tzinfo=UTC))
    assert records[3].given.embedding == [0.5, 1.0]
    assert records[4].given.traits[0].kind == "imported"


def test_the_aliases_of_the_api_are_read(tmp_path):
    (record,) = read_tree(
        tmp_path,
        Format.JSONL,
        {
            "thread_id": "s1",
            "user_id": "c1",
            "message_type": "llm_response",
            "message_id": "m1",
            "content": "hi",
            "timestamp": "2026-01-01T00:00:00Z",
        },
    )

    assert (record.session, record.customer) == ("s1", "c1")
    assert (record.given.role, record.given.external_id) == ("assistant", "m1")
    assert record.given.created_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_bom_crlf_and_blank_lines_are_fine(tmp_path):
    path = tmp_path / "windows.jsonl"
    line = b'{"session_id": "s1", "role": "user", "content": "x"}'
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n   \r\n" + line)

    records = read(path, Format.JSONL)

    assert [record.origin.line for record in records] == [1, 4]
    assert not errors_of(records)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "malformed_json"),
        (b"not json", "malformed_json"),
        (b'{"session_id": "s1", "role": "user", "content": "caf\xe9"}', "malformed_json"),
        (b'{"role": "user", "role": "tool"}', "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"a": NaN}', "malformed_json"),
        (b'{"session_id": "s1", "role": "user", "content": "\\u0000"}', "invalid"),
        (b'{"session_id": "s1", "role": "user", "content": "\\ud800"}', "invalid"),
        (b"[]", "wrong_type"),
        (b"1", "wrong_type"),
        ({"object": "tenant"}, "invalid"),
        ({"object": ["message"]}, "invalid"),
        (HELLO | {"object": None}, "invalid"),
        (HELLO | {"role": "wizard"}, "invalid"),
        (HELLO | {"content": 5}, "wrong_type"),
        (HELLO | {"tenant": "other"}, "unknown_field"),
        (HELLO | {"created_at": "2026-06-01T00:00:00.000001Z"}, "out_of_range"),
        (HELLO | {"created_at": "1969-12-31T23:59:59Z"}, "out_of_range"),
        (HELLO | {"created_at": "yesterday"}, "invalid"),
        (HELLO | {"occurred_at": "2126-01-01T00:00:00Z"}, "out_of_range"),
        (HELLO | {"content": "x" * 262_145}, "too_large"),
        (HELLO | {"thread_id": "s2"}, "conflict"),
        ({"role": "user", "content": "x"}, "required"),
        ({"object": "session", "closed_at": "2026-07-01T00:00:00Z"}, "out_of_range"),
        ({"object": "memory", "content": "x" * 262_145}, "too_large"),
        ({"object": "memory", "content": "x", "created_at": "2026-07-01T00:00:00Z"}, "out_of_range"),
        ({"object": "portrait", "customer_id": "c", "updated_at": "2026-07-01T00:00:00Z"}, "out_of_range"),
        ({"object": "portrait", "customer_id": "c", "sentiment_score": 1.5}, "invalid"),
        ({"object": "customer"}, "required"),
    ],
)
def test_a_broken_line_is_an_error_and_its_neighbours_are_read(tmp_path, line, code):
    records = read_tree(tmp_path, Format.JSONL, HELLO, line, HELLO)

    assert errors_of(records) == [(2, code)]
    assert words(good(records)) == [("s1", "user", "hello")] * 2


def test_an_error_names_every_broken_field(tmp_path):
    (error,) = read_tree(tmp_path, Format.JSONL, HELLO | {"role": None, "created_at": "2030-01-01T00:00:00Z"})

    assert isinstance(error, LineError)
    assert "role" in error.detail
    assert "created_at" in error.detail


def test_the_same_line_read_again_has_the_same_key(tmp_path):
    first = read_tree(tmp_path, Format.JSONL, HELLO, HELLO, HELLO | {"id": "m1"})
    again = read_tree(tmp_path, Format.JSONL, HELLO, HELLO, HELLO | {"id": "m1"})

    assert [record.key for record in first] == [record.key for record in again]
    assert len({record.key for record in first}) == 3


def test_the_key_of_a_named_record_does_not_depend_on_its_place(tmp_path):
    (alone,) = read_tree(tmp_path, Format.JSONL, HELLO | {"id": "m1"})
    *_, last = read_tree(tmp_path, Format.JSONL, HELLO, HELLO | {"id": "m1", "content": "edited"})

    assert alone.key == last.key


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name in ("b", "a", "c"):
        write_lines(tmp_path / f"{name}.jsonl", HELLO | {"content": name})
    (tmp_path / "notes.txt").write_text("not for us")

    records = read(tmp_path, Format.JSONL)

    assert [(record.origin.file, record.given.content) for record in records] == [
        ("a.jsonl", "a"),
        ("b.jsonl", "b"),
        ("c.jsonl", "c"),
    ]
