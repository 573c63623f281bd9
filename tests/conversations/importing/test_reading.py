import json
import tracemalloc
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.exceptions import Invalid
from conversations.importing import Format, LineError, read_records
from tests.conversations.importing.factories import NOW, read, write_lines

LINES = [
    {"object": "session", "id": "s1", "external_id": "x", "outcome": {"success": True}},
    {
        "session_id": "s1",
        "role": "user",
        "content": "hi",
        "created_at": "2026-01-01T00:00:00Z",
        "metadata": {"a": 1},
    },
    {"object": "memory", "content": "x", "embedding": [1.0]},
    {"object": "portrait", "customer_id": "c", "traits": [{"name": "n", "value": 1}]},
    {
        "id": "c1",
        "created_at": 5,
        "metadata": {"user_id": "u"},
        "items": [{"role": "user", "content": [{"type": "text", "text": "t"}]}],
    },
    {
        "id": 1,
        "session_id": "s",
        "message": {"type": "human", "data": {"content": ["t", {"text": "u"}], "id": "m"}},
    },
    {
        "Item": {
            "session_id": {"S": "s"},
            "timestamp": {"S": "2026-01-01"},
            "role": {"S": "user"},
            "metadata": {"M": {}},
        }
    },
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged(draw):
    """A good line with one of its places replaced by anything, as bytes with some of them turned."""
    tree = json.loads(json.dumps(draw(st.sampled_from(LINES))))
    place = tree
    while isinstance(place, dict | list) and place:
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            place[key] = draw(JUNK)
            break
        place = place[key]
    body = bytearray(json.dumps(tree).encode())
    for _ in range(draw(st.integers(0, 2))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body)


@pytest.mark.parametrize("format_", [Format.JSONL, Format.OPENAI, Format.LANGCHAIN, Format.DYNAMODB])
@given(lines=st.lists(damaged() | st.binary(max_size=30), max_size=5))
@settings(max_examples=150, deadline=None)
def test_no_line_is_an_exception(tmp_path_factory, format_, lines):
    path = write_lines(tmp_path_factory.mktemp("fuzz") / "a.jsonl", *lines)

    for record in read(path, format_):
        assert isinstance(record, LineError) or len(record.key) == 16


@pytest.mark.parametrize("format_", Format)
def test_nothing_to_read_is_refused_at_once(tmp_path, format_):
    with pytest.raises(Invalid):
        read_records(tmp_path / "nowhere", format_, now=NOW)
    with pytest.raises(Invalid):
        read_records(tmp_path, format_, now=NOW)


def test_memory_stays_flat_however_long_the_file(tmp_path):
    line = msgspec.json.encode(
        {"session_id": "s", "role": "user", "content": "x" * 1_000, "created_at": "2026-01-01T00:00:00Z"}
    )
    path = tmp_path / "long.jsonl"
    path.write_bytes((line + b"\n") * 20_000)

    tracemalloc.start()
    count = sum(1 for _ in read_records(path, Format.JSONL, now=datetime.now(UTC)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 20_000
    assert peak < 1_000_000
