from datetime import UTC, datetime

import pytest

from conversations.importing import Format
from tests.conversations.importing.factories import errors_of, read_tree, words


def conversation(*items, **fields):
    return {
        "id": "conv_1",
        "object": "conversation",
        "created_at": 1_767_225_600,
        "metadata": {"user_id": "c1", "topic": "demo"},
        "items": list(items),
        **fields,
    }


def said(role, *parts, **fields):
    return {"type": "message", "role": role, "content": list(parts), **fields}


def test_a_conversation_becomes_a_session_and_its_messages(tmp_path):
    session, *messages = read_tree(
        tmp_path,
        Format.OPENAI,
        conversation(
            said("user", {"type": "input_text", "text": "Weather?"}, id="msg_1", created_at=1_767_225_601),
            said(
                "assistant", {"type": "output_text", "text": "Sunny."}, id="msg_2", created_at=1_767_225_602.5
            ),
        ),
    )

    assert (session.source_id, session.given.external_id, session.given.customer_id) == (
        "conv_1",
        "conv_1",
        "c1",
    )
    assert session.given.metadata == {"topic": "demo"}
    assert session.given.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert words(messages) == [("conv_1", "user", "Weather?"), ("conv_1", "assistant", "Sunny.")]
    assert [message.given.external_id for message in messages] == ["msg_1", "msg_2"]
    assert messages[1].given.created_at == datetime(2026, 1, 1, 0, 0, 2, 500_000, tzinfo=UTC)
    assert {message.customer for message in messages} == {"c1"}


def test_a_call_of_a_tool_and_its_output_become_tool_messages(tmp_path):
    _, call, output = read_tree(
        tmp_path,
        Format.OPENAI,
        conversation(
            {
                "id": "fc_1",
                "type": "function_call",
                "call_id": "call_1",
                "name": "weather",
                "arguments": '{"q":1}',
            },
            {"id": "fo_1", "type": "function_call_output", "call_id": "call_1", "output": {"sky": "blue"}},
        ),
    )

    assert words([call, output]) == [("conv_1", "tool", '{"q":1}'), ("conv_1", "tool", '{"sky":"blue"}')]
    assert call.given.name == "weather"
    assert call.given.metadata == {"type": "function_call", "call_id": "call_1"}
    assert output.given.metadata == {"type": "function_call_output", "call_id": "call_1"}


def test_a_built_in_tool_is_told_by_what_it_did(tmp_path):
    _, call = read_tree(
        tmp_path,
        Format.OPENAI,
        conversation(
            {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"query": "x"}}
        ),
    )

    assert words([call]) == [("conv_1", "tool", '{"action":{"query":"x"}}')]


def test_reasoning_is_left_out(tmp_path):
    records = read_tree(tmp_path, Format.OPENAI, conversation({"type": "reasoning", "summary": []}))

    assert len(records) == 1


def test_several_texts_are_parts_and_images_are_attachments(tmp_path):
    _, message = read_tree(
        tmp_path,
        Format.OPENAI,
        conversation(
            said(
                "user",
                {"type": "input_text", "text": "this"},
                {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
                {"type": "input_text", "text": "and that"},
            )
        ),
    )

    assert [part.text for part in message.given.content] == ["this", "and that"]
    (attachment,) = message.given.attachments
    assert (attachment.kind, attachment.uri) == ("file", "https://example.org/a.png")


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (conversation(id=None), "id"),
        (conversation(items=None), "items"),
        (conversation(items={}), "items"),
        (conversation(created_at=None), "created_at"),
        (conversation(created_at="tomorrow"), "created_at"),
        (conversation(created_at=True), "created_at"),
        (conversation(created_at=1e300), "created_at"),
        (conversation(created_at=4_000_000_000), "created_at"),
        (conversation(said("user", created_at=4_000_000_000)), "items[0].created_at"),
        (conversation(said("user"), said("narrator")), "items[1].role"),
        (conversation("hello"), "items[0]"),
        (conversation({"type": ["message"]}), "items[0].type"),
        (conversation({"type": "mystery"}), "items[0].type"),
        (conversation(said("user", {"type": "input_text"})), "items[0].content[0].text"),
        (conversation(said("user", "text")), "items[0].content[0]"),
        (conversation(said("user", id="x" * 300)), "external_id"),
    ],
)
def test_a_broken_conversation_is_one_error_and_nothing_of_it_is_kept(tmp_path, line, detail):
    records = read_tree(tmp_path, Format.OPENAI, line)

    assert [line_number for line_number, _ in errors_of(records)] == [1]
    assert len(records) == 1
    assert detail in records[0].detail
