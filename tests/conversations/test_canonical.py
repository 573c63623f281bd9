"""Canonical JSON: what it accepts, and that every other way of writing the same value is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.canonical import NotCanonical, canonical, instant, parse_canonical

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e300, 1e300) | text
values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(text, v, max_size=4))


def test_canonical_form_is_that_of_the_rfc() -> None:
    # RFC 8785, section 3.2.2 to 3.2.4.
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '€$\x0f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }

    assert canonical(value).hex(" ").startswith("7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c")
    assert canonical(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


@given(values)
def test_canonical_bytes_are_read_back_as_the_same_value(value: Any) -> None:
    data = canonical(value)

    assert parse_canonical(data) == value
    assert canonical(parse_canonical(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1] ",
        b" [1]",
        b"[1]\n",
        b"[1][2]",
        b"[1, 2]",
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\ud800"}',
        b'{"a":NaN}',
        b'{"a":9007199254740993}',
        b'{"a":1e400}',
        b"9" * 5000,
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf[1]",
        "[1]".encode("utf-16-le"),
        b"[" * 100_000,
        b"[" * 900 + b"]" * 900 + b" ",
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        parse_canonical(data)


@given(values)
def test_the_same_value_written_otherwise_is_refused(value: Any) -> None:
    data = json.dumps([value], indent=1).encode()

    with pytest.raises(NotCanonical):
        parse_canonical(data)


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), float("nan"), float("inf"), "\ud800", {1: "a"}, {"a": object()}]
)
def test_values_without_a_canonical_form_are_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_instants_are_utc_with_microseconds() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert instant(at) == "2026-01-02T03:04:05.000000Z"
    assert instant(at.astimezone(timezone(timedelta(hours=8)))) == instant(at)
