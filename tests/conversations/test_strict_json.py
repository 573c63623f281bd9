import enum
import json
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations import strict_json
from conversations.exceptions import FieldError, Invalid, MalformedJSON


class Speaker(enum.StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


class Part(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Speaker
    content: str | list[Part]
    external_id: Annotated[str, msgspec.Meta(min_length=1, max_length=5)] | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    position: int = 1
    at: datetime | None = None
    id: UUID | None = None
    metadata: dict[str, Any] = {}
    usage: dict[str, int] = {}

    def __post_init__(self) -> None:
        if self.content == "forbidden":
            raise ValueError("content is forbidden")


class Usage(msgspec.Struct):
    usage: dict[Annotated[str, msgspec.Meta(max_length=3)], int]


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    messages: list[Message]


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


# -- what is JSON --------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_parse_reads_whatever_json_can_say(value, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert strict_json.parse(body) == value


@given(json_values)
def test_encode_writes_what_parse_reads(value):
    assert strict_json.parse(strict_json.encode(value)) == value


@given(st.binary(max_size=200) | st.text('{}[]",:\\ud80 1e9-.', max_size=60).map(str.encode))
def test_parse_either_answers_or_refuses(body):
    try:
        value = strict_json.parse(body)
    except (MalformedJSON, Invalid):
        return

    assert strict_json.parse(strict_json.encode(value)) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{} {}",
        b"{}x",
        b"{}\x00",
        b"[1,]",
        b'{"a":1,}',
        b"{'a': 1}",
        b"{a: 1}",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"0x10",
        b"1_000",
        b"nul",
        b"undefined",
        b'"a\nb"',
        b'"\\x41"',
        b'"\\u12"',
        b'"\\u+123"',
        b"\x0c{}",
        "\u00a0{}".encode(),
        "１".encode(),
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b"[1}",
        b"// note\n{}",
    ],
)
def test_what_is_not_json_is_malformed(body):
    with pytest.raises(MalformedJSON):
        strict_json.parse(body)


@pytest.mark.parametrize(
    "body", [b"NaN", b"Infinity", b"-Infinity", b"[1e999]", b'{"a": -1e400}', b"1" + b"0" * 400 + b".0"]
)
def test_numbers_without_a_finite_value_are_malformed(body):
    with pytest.raises(MalformedJSON):
        strict_json.parse(body)


@pytest.mark.parametrize(
    "body", [b"1" * 400, b"-" + b"1" * 400, b"18446744073709551616", b"-9223372036854775809", b"9" * 20]
)
def test_integers_beyond_64_bits_are_malformed(body):
    with pytest.raises(MalformedJSON, match="64 bits"):
        strict_json.parse(b'{"a": [' + body + b"]}")


@pytest.mark.parametrize("number", [2**64 - 1, 2**63, -(2**63), 0])
def test_integers_of_64_bits_are_kept(number):
    assert strict_json.parse(str(number).encode()) == number


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "b": 2, "a": 3}',
        b'{"a": {"b": [{"c": 1, "c": 2}]}}',
        b'[[{"x": null, "x": null}]]',
        b'{"a": 1, "\\u0061": 2}',
        b'{"": 1, "": 2}',
    ],
)
def test_a_key_given_twice_is_malformed_at_every_level(body):
    with pytest.raises(MalformedJSON, match="twice"):
        strict_json.parse(body)


def test_malformed_says_where_and_repeats_nothing():
    with pytest.raises(MalformedJSON) as refused:
        strict_json.parse(b'{"note":\n "secret", oops}')

    assert refused.value.detail == "Not valid JSON at line 2, column 12."


# -- depth ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        nested(33),
        nested(33, '{"a":', "}").replace(b'"a":}', b'"a":1}'),
        nested(900),
        nested(100_000),
        nested(100_000, '{"a":', "}"),
        b"[[]" * 33 + b"]" * 33,
        b'["]",' * 40 + b"1" + b"]" * 40,
        b'["\\"]",' * 40 + b"1" + b"]" * 40,
        b'["\\\\",' * 40 + b"1" + b"]" * 40,
    ],
)
def test_deeper_than_allowed_is_over_a_limit(body):
    with pytest.raises(Invalid, match="32 levels"):
        strict_json.parse(body)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b"[[]" * 50_000, b"[]]" * 50_000, b"][" * 50, b"[}" * 50]
)
def test_brackets_that_do_not_match_are_malformed(body):
    with pytest.raises(MalformedJSON):
        strict_json.parse(body)


@pytest.mark.parametrize("depth", [1, 2, 31, 32])
def test_as_deep_as_allowed_is_read(depth):
    padding = b"[" + b"[]," * 100 + b"[]]"

    assert strict_json.parse(nested(depth)) is not None
    assert strict_json.parse(
        b'{"wide": %s, "deep": %s}' % (padding, nested(depth - 1) if depth > 1 else b"1")
    )


def test_depth_is_the_callers_to_choose():
    assert strict_json.parse(nested(3), max_depth=3) == [[[]]]
    with pytest.raises(Invalid, match="3 levels"):
        strict_json.parse(nested(4), max_depth=3)


def depth_of(value: Any) -> int:
    match value:
        case dict():
            return 1 + max(map(depth_of, value.values()), default=0)
        case list():
            return 1 + max(map(depth_of, value), default=0)
    return 0


@given(
    st.recursive(
        st.text('[]{}"\\n', max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=3), inner, max_size=3)
        ),
        max_leaves=30,
    ),
    st.integers(1, 6),
)
def test_depth_counts_brackets_and_not_those_in_strings(value, limit):
    body = json.dumps(value).encode()

    if depth_of(value) > limit:
        with pytest.raises(Invalid):
            strict_json.parse(body, max_depth=limit)
    else:
        assert strict_json.parse(body, max_depth=limit) == value


# -- what cannot be stored -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (rb'"\u0000"', [""]),
        (rb'{"content": "a\u0000b"}', ["content"]),
        (rb'{"messages": [{"content": "fine"}, {"content": "\u0000"}]}', ["messages[1].content"]),
        (rb'{"metadata": {"a\u0000": 1}}', ["metadata.a\ufffd"]),
        (rb'{"metadata": {"a": {"b": ["\ud800"]}}}', ["metadata.a.b[0]"]),
        (rb'"\uDFFF"', [""]),
        (rb'"\ud83d"', [""]),
        (rb'"\ude00\ud83d"', [""]),
        (rb'{"\ud83d": "\u0000"}', ["\ufffd", "\ufffd"]),
        (rb'{"a": "\u0000", "b": "\uD9aB x"}', ["a", "b"]),
    ],
)
def test_nul_and_half_a_pair_are_invalid_where_they_stand(body, fields):
    with pytest.raises(Invalid) as refused:
        strict_json.parse(body)

    assert [error.field for error in refused.value.errors] == fields
    assert {error.code for error in refused.value.errors} == {"invalid"}


def test_errors_have_an_end():
    with pytest.raises(Invalid) as refused:
        strict_json.parse(b"[" + rb'"\u0000",' * 1000 + b"1]")

    assert len(refused.value.errors) == strict_json.MAX_ERRORS


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\\u0000"', r"\u0000"),
        (rb'"\\ud800"', r"\ud800"),
        ('"😀"'.encode(), "😀"),
    ],
)
def test_what_only_looks_unstorable_is_read(body, value):
    assert strict_json.parse(body) == value


# -- types ---------------------------------------------------------------------------------------------------


def test_decode_gives_the_type():
    body = b"""{"messages": [{
        "role": "user", "content": [{"text": "hello"}], "confidence": 1, "metadata": {"a": null},
        "at": "2026-11-05T08:00:00.123456Z", "id": "01890a5d-ac96-774b-bcce-b302099a8057"
    }]}"""

    batch = strict_json.decode(body, Batch)

    assert batch == Batch(
        [
            Message(
                Speaker.USER,
                [Part("hello")],
                confidence=1.0,
                at=datetime(2026, 11, 5, 8, 0, 0, 123456, UTC),
                id=UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
                metadata={"a": None},
            )
        ]
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "x"}, ("messages[1].role", "required", "This field is required.")),
        (
            {"role": "user", "content": [{}]},
            ("messages[1].content[0].text", "required", "This field is required."),
        ),
        (
            {"role": "user", "content": "x", "tenant": "y"},
            ("messages[1].tenant", "unknown_field", "There is no such field here."),
        ),
        (
            {"role": "user", "content": 3},
            ("messages[1].content", "wrong_type", "Expected string or array, got integer."),
        ),
        ([], ("messages[1]", "wrong_type", "Expected object, got array.")),
        (
            {"role": "user", "content": "x", "position": "1"},
            ("messages[1].position", "wrong_type", "Expected integer, got string."),
        ),
        (
            {"role": "user", "content": "x", "position": 1.0},
            ("messages[1].position", "wrong_type", "Expected integer, got number."),
        ),
        (
            {"role": "user", "content": "x", "position": True},
            ("messages[1].position", "wrong_type", "Expected integer, got boolean."),
        ),
        (
            {"role": "user", "content": "x", "metadata": None},
            ("messages[1].metadata", "wrong_type", "Expected object, got null."),
        ),
        (
            {"role": "user", "content": "x", "usage": {"any": "x"}},
            ("messages[1].usage[...]", "wrong_type", "Expected integer, got string."),
        ),
        ({"role": "boss", "content": "x"}, ("messages[1].role", "invalid", "Not one of the allowed values.")),
        (
            {"role": "user", "content": "x", "external_id": "123456"},
            ("messages[1].external_id", "invalid", "Expected string of length <= 5."),
        ),
        (
            {"role": "user", "content": "x", "confidence": 2},
            ("messages[1].confidence", "invalid", "Expected number <= 1.0."),
        ),
        (
            {"role": "user", "content": "x", "at": "yesterday"},
            ("messages[1].at", "invalid", "Invalid RFC3339 encoded datetime."),
        ),
        ({"role": "user", "content": "x", "id": "7"}, ("messages[1].id", "invalid", "Invalid UUID.")),
        ({"role": "user", "content": "forbidden"}, ("messages[1]", "invalid", "content is forbidden.")),
    ],
)
def test_a_broken_rule_names_its_field(message, expected):
    body = json.dumps({"messages": [{"role": "user", "content": "x"}, message]}).encode()

    with pytest.raises(Invalid) as refused:
        strict_json.decode(body, Batch)

    assert refused.value.errors == (FieldError(*expected),)


def test_a_body_of_another_kind_has_no_field():
    with pytest.raises(Invalid) as refused:
        strict_json.decode(b"[]", Batch)

    assert refused.value.errors == (FieldError("", "wrong_type", "Expected object, got array."),)


@pytest.mark.parametrize("name", ["x" * 1_000_000, "we`ird - at `$.x", "with\nnewline", "`", ""])
def test_an_unknown_field_is_named_whatever_it_is_called_but_not_at_length(name):
    with pytest.raises(Invalid) as refused:
        strict_json.decode(json.dumps({name: 1}).encode(), Batch)

    (error,) = refused.value.errors
    assert error.code == "unknown_field"
    assert len(error.field) <= strict_json.MAX_NAME_SHOWN + 10


def test_an_unknown_field_with_a_tricky_name_keeps_its_place():
    name = "x` - at `$.y`"
    body = json.dumps({"messages": [{"role": "user", "content": "x", name: 1}]}).encode()

    with pytest.raises(Invalid) as refused:
        strict_json.decode(body, Batch)

    assert refused.value.errors == (
        FieldError(f"messages[0].{name}", "unknown_field", "There is no such field here."),
    )


def test_a_key_that_breaks_a_rule_names_the_object():
    with pytest.raises(Invalid) as refused:
        strict_json.decode(b'{"usage": {"tokens": 1}}', Usage)

    assert refused.value.errors == (FieldError("usage", "invalid", "Expected string of length <= 3."),)


def test_encode_writes_times_in_utc_and_structs_by_field():
    value = {"at": datetime(2026, 1, 2, tzinfo=UTC), "part": Part("ä"), "id": UUID(int=1)}

    assert strict_json.parse(strict_json.encode(value)) == {
        "at": "2026-01-02T00:00:00Z",
        "part": {"text": "ä"},
        "id": "00000000-0000-0000-0000-000000000001",
    }
