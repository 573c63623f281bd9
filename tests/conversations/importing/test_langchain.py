import json
from datetime import UTC, datetime

import pytest

from conversations.importing import Format
from tests.conversations.importing.factories import errors_of, read_tree, words


def row(type_="human", content="hi", **fields):
    data = {"content": content, "id": None, **fields.pop("data", {})}
    return {"id": 7, "session_id": "s1", "message": {"type": type_, "data": data}, **fields}


@pytest.mark.parametrize(
    ("type_", "role"),
    [
        ("human", "user"),
        ("ai", "assistant"),
        ("AIMessageChunk", "assistant"),
        ("system", "system"),
        ("tool", "tool"),
        ("function", "tool"),
    ],
)
def test_types_become_roles(tmp_path, type_, role):
    (record,) = read_tree(tmp_path, Format.LANGCHAIN, row(type_))

    assert words([record]) == [("s1", role, "hi")]


def test_a_message_may_be_json_text(tmp_path):
    line = row(data={"id": "run-1"}, created_at="2026-01-01 10:00:00+01:00")
    line["message"] = json.dumps(line["message"])

    (record,) = read_tree(tmp_path, Format.LANGCHAIN, line)

    assert record.given.external_id == "run-1"
    assert record.source_id == "7"
    assert record.given.created_at == datetime(2026, 1, 1, 9, tzinfo=UTC)


def test_what_a_model_says_about_itself_is_kept(tmp_path):
    (record,) = read_tree(
        tmp_path,
        Format.LANGCHAIN,
        row(
            "ai",
            "",
            data={
                "tool_calls": [{"name": "search", "args": {"q": "x"}, "id": "call_1"}],
                "response_metadata": {"model_name": "m-1"},
                "usage_metadata": {"input_tokens": 3},
                "additional_kwargs": {},
            },
        ),
    )

    assert record.given.model == "m-1"
    assert record.given.usage == {"input_tokens": 3}
    assert record.given.metadata == {"tool_calls": [{"name": "search", "args": {"q": "x"}, "id": "call_1"}]}


def test_parts_are_kept_apart(tmp_path):
    (record,) = read_tree(
        tmp_path,
        Format.LANGCHAIN,
        row(
            content=[
                "see",
                {"type": "text", "text": "this"},
                {"type": "image_url", "image_url": {"url": "u"}},
            ]
        ),
    )

    assert [part.text for part in record.given.content] == ["see", "this"]
    assert record.given.attachments[0].data == {"type": "image_url", "image_url": {"url": "u"}}


@pytest.mark.parametrize(
    "line",
    [
        row(session_id=None),
        row(session_id=["s"]),
        row("wizard"),
        row(None),
        row(content=None),
        row(content={"a": 1}),
        row(created_at="2027-01-01T00:00:00Z"),
        row(created_at="soon"),
        row() | {"message": "{"},
        row() | {"message": "[]"},
        row() | {"message": None},
        row() | {"message": '{"type": "human", "data": {"content": "\\u0000"}}'},
        row() | {"message": "[" * 10_000},
    ],
)
def test_a_broken_row_is_an_error(tmp_path, line):
    records = read_tree(tmp_path, Format.LANGCHAIN, line, row())

    assert [number for number, _ in errors_of(records)] == [1]
    assert len(records) == 2
