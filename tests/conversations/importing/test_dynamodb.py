import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from conversations.importing import Format, ImportedMessage, ImportedPreferences
from tests.conversations.importing.factories import errors_of, good, read, read_tree, words, write_lines


def item(session="s1", at="2026-01-01T00:00:00", content="hi", **fields):
    typed = {
        "session_id": {"S": session},
        "timestamp": {"S": at},
        "message_id": {"S": f"{session}-{at}"},
        "role": {"S": "user"},
        "content": {"S": content},
        "user_id": {"S": "c1"},
        "metadata": {"S": '{"intent": "general_query"}'},
    }
    return {"Item": {name: value for name, value in {**typed, **fields}.items() if value is not None}}


def test_an_item_becomes_a_message(tmp_path):
    (record,) = read_tree(tmp_path, Format.DYNAMODB, item(at="2026-01-01T10:00:00.123456"))

    assert isinstance(record, ImportedMessage)
    assert words([record]) == [("s1", "user", "hi")]
    assert (record.customer, record.given.external_id) == ("c1", "s1-2026-01-01T10:00:00.123456")
    assert record.given.metadata == {"intent": "general_query"}
    assert record.given.created_at == datetime(2026, 1, 1, 10, 0, 0, 123_456, tzinfo=UTC)


def test_metadata_may_be_a_typed_map(tmp_path):
    typed = {
        "M": {
            "n": {"N": "-1.5"},
            "big": {"N": "12"},
            "l": {"L": [{"BOOL": True}, {"NULL": True}]},
            "s": {"SS": ["x"]},
        }
    }

    (record,) = read_tree(tmp_path, Format.DYNAMODB, item(metadata=typed))

    assert record.given.metadata == {"n": -1.5, "big": 12, "l": [True, None], "s": ["x"]}


@pytest.mark.parametrize(
    "preferences", [{"S": json.dumps({"genre": "jazz"})}, {"M": {"genre": {"S": "jazz"}}}]
)
def test_an_item_with_preferences_is_preferences(tmp_path, preferences):
    (record,) = read_tree(
        tmp_path,
        Format.DYNAMODB,
        {
            "Item": {
                "user_id": {"S": "c1"},
                "preferences": preferences,
                "created_at": {"S": "2026-01-01T00:00:00Z"},
                "updated_at": {"S": "2026-01-02T00:00:00Z"},
            }
        },
    )

    assert isinstance(record, ImportedPreferences)
    assert (record.customer, record.preferences) == ("c1", {"genre": "jazz"})
    assert record.updated_at == datetime(2026, 1, 2, tzinfo=UTC)


def test_the_messages_of_a_session_come_in_the_order_of_their_times(tmp_path):
    chance = random.Random(3)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [
        item(
            session=f"s{number % 7}",
            at=(start + timedelta(microseconds=number)).isoformat(),
            content=str(number),
        )
        for number in range(400)
    ]
    chance.shuffle(lines)
    for number in range(3):
        write_lines(tmp_path / f"part-{number}.json", b"", *lines[number::3])

    records = read(tmp_path, Format.DYNAMODB)

    assert len(records) == 400
    said = {}
    for record in records:
        said.setdefault(record.session, []).append(int(record.given.content))
    assert said == {f"s{number}": list(range(number, 400, 7)) for number in range(7)}


def test_errors_keep_the_number_of_their_line_though_lines_are_sorted(tmp_path):
    records = read_tree(
        tmp_path,
        Format.DYNAMODB,
        b"\xef\xbb\xbf" + json.dumps(item(at="2026-02-01T00:00:00Z")).encode() + b"\r",
        b"",
        b"{",
        item(at="2027-01-01T00:00:00Z"),
        item(at="2026-01-01T00:00:00Z"),
    )

    assert errors_of(records) == [(3, "malformed_json"), (4, "out_of_range")]
    assert [record.origin.line for record in good(records)] == [5, 1]


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"Item": []},
        {"Item": {"session_id": "s1"}},
        {"Item": {"session_id": {"S": "s", "N": "1"}}},
        {"Item": {"session_id": {"X": "s"}}},
        item(session_id=None),
        item(timestamp=None),
        item(timestamp={"NULL": True}),
        item(timestamp={"S": "noon"}),
        item(role={"S": "wizard"}),
        item(role=None),
        item(content={"N": "1"}),
        item(content={"N": "NaN"}),
        item(content={"N": "1" * 400}),
        item(content={"S": 5}),
        item(metadata={"S": "{"}),
        item(metadata={"S": "[]"}),
        item(metadata={"L": [{"BOOL": "yes"}]}),
        {"Item": {"user_id": {"S": "c1"}, "preferences": {"S": "[1]"}}},
        {"Item": {"preferences": {"S": "{}"}}},
        {
            "Item": {
                "user_id": {"S": "c"},
                "preferences": {"S": "{}"},
                "updated_at": {"S": "2027-01-01T00:00:00Z"},
            }
        },
    ],
)
def test_a_broken_item_is_an_error(tmp_path, line):
    records = read_tree(tmp_path, Format.DYNAMODB, line, item())

    assert [number for number, _ in errors_of(records)] == [1]
    assert len(records) == 2
