from datetime import UTC, datetime
from uuid import UUID

import pytest

from conversations.inputs import Attachment as AttachmentIn
from conversations.inputs import TextPart
from conversations.transcripts import Attachment, ToolCall, transcript_of
from conversations.transcripts.wording import duration

AT = datetime(2026, 3, 1, tzinfo=UTC)
SESSION = {
    "id": UUID(int=7),
    "object": "session",
    "external_id": "case-7",
    "customer_id": "c1",
    "channel": "web",
    "language": "en",
    "outlet_id": None,
    "title": None,
    "status": "closed",
    "outcome": {
        "success": True,
        "issue_type": "stale",
        "entities": ["Paradise"],
        "tools_used": None,
        "more": 1,
    },
    "created_at": AT,
    "closed_at": AT,
    "held": False,
}
MESSAGE = {
    "position": 1,
    "role": "assistant",
    "content": "hi",
    "created_at": AT,
    "name": None,
    "language": None,
    "model": None,
    "intent": None,
    "intent_confidence": None,
    "agent_responses": None,
    "attachments": None,
    "metadata": {},
    "pii": [],
}


def test_an_answer_of_the_api_becomes_a_transcript():
    transcript = transcript_of(SESSION, [MESSAGE])

    assert transcript.session.is_runbook
    assert transcript.session.heading == "stale"
    assert transcript.session.outcome.entities == ("Paradise",)
    assert transcript.session.outcome.tools_used == ()
    assert transcript.messages[0].text == "hi"


def test_a_session_without_outcome_is_no_runbook():
    assert not transcript_of(SESSION | {"outcome": None}, []).session.is_runbook


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        [TextPart("text", "a"), TextPart("text", "b")],
    ],
)
def test_parts_are_joined_by_lines(parts):
    assert transcript_of(SESSION, [MESSAGE | {"content": parts}]).messages[0].text == "a\nb"


@pytest.mark.parametrize(
    "attachment", [{"kind": "file", "uri": "s3://x"}, AttachmentIn(kind="file", uri="s3://x")]
)
def test_attachments_are_read_stored_or_fresh(attachment):
    (message,) = transcript_of(SESSION, [MESSAGE | {"attachments": [attachment]}]).messages

    assert message.attachments == (Attachment("file", uri="s3://x"),)


@pytest.mark.parametrize(
    ("calls", "read"),
    [
        ([{"name": "search", "args": {"q": 1}, "id": "x"}], (ToolCall("search", {"q": 1}),)),
        ([{"type": "function", "function": {"name": "f", "arguments": "{}"}}], (ToolCall("f", "{}"),)),
        ([None, "x", {"name": 1}, {"function": []}], ()),
        ("search", ()),
        (None, ()),
    ],
)
def test_calls_of_tools_are_found_in_metadata(calls, read):
    (message,) = transcript_of(SESSION, [MESSAGE | {"metadata": {"tool_calls": calls}}]).messages

    assert message.tool_calls == read


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.4, "0.4 s"),
        (42, "42 s"),
        (905, "15 min 5 s"),
        (3_600, "1 h"),
        (93_784, "1 d 2 h"),
        (3_605, "1 h 5 s"),
    ],
)
def test_a_duration_is_told_by_its_largest_units(seconds, words):
    assert duration(seconds) == words
