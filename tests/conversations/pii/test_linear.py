"""Whatever a text says, twice as long takes twice as long. Measured in processor time, as a ratio."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.pii import scrub

SHORT, LONG = 2_048, 16_384
GROWTH = LONG / SHORT
QUADRATIC = GROWTH**2
NOISE = 0.002  # seconds below which a measurement says nothing

HOSTILE = [
    "1", "1 ", "1-", "1.", "(1)", "(", "12 34 56 78 ", "1234 5678 ", "91234567,", "+1", "+6591234567 ",
    "0065 ", "0", "4111 ", "4111 1111 1111 1112 ", "4111111111111111 ", "6", "2026-11-20 ", "1.2.3.4 ",
    "1.2.3.", "fe80::1 ", "a:", ":", "a:b:c:d:e:f:0:", "@", "a@", "a@a.", "a@b.co ", "a%40", "a", "a.",
    "a-", "sk-", "-sk-", "-eyJ", "eyJaaaaaaaa.", "Bearer ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ",
    "-", "://a:", "://:", "http://a:b@c ", "password ", "password:", "password is ", "otp:", "otp 1",
    "phone ", "phone order ", "order 91234567 ", "电话91234567", "电话订单", "GB82",
    "GB82 WEST 1234 5698 7654 33 ", "S1234567D ", "110101199003070011 ", "９１２３４５６７，", "1\u200b",
    "a\u0301\u0302", "9\ufe0f\u20e3", "𝟗", "\ufdfa", "12345678:", "1@c.us ", "[PHONE_1] ", " ", "\n", "\\",
    "\"",
]  # fmt: skip


def repeated(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


def seconds(text: str) -> float:
    started = time.process_time()
    scrub(text)
    return time.process_time() - started


def grows_linearly(unit: str, before: str = "", after: str = "") -> bool:
    """Best of up to five, since a measurement can only be too long."""
    short, long = (before + repeated(unit, length) + after for length in (SHORT, LONG))
    best_short = best_long = float("inf")
    for _ in range(5):
        best_short = min(best_short, seconds(short))
        best_long = min(best_long, seconds(long))
        if best_long < max(best_short, NOISE) * (GROWTH + QUADRATIC) / 2:
            return True
    return False


@pytest.mark.parametrize("unit", HOSTILE)
def test_repetition_costs_in_proportion(unit):
    assert grows_linearly(unit)


@pytest.mark.parametrize("unit", ["-", "a", "1", " ", "a.", "a-", ":", "[", "\\", "ab1_"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("-----BEGIN PRIVATE KEY-----", ""),
        ("://", "@"),
        ("://a:", "@"),
        ("", "@b.co"),
        ("a@", ""),
        ("a@", ".c0"),
        ("password: ", ""),
        ("Bearer ", ""),
        ("sk-", ""),
        ("eyJaaaaaaaa.", ""),
        ("+", "1"),
        ("phone ", "1"),
    ],
)
def test_a_long_stretch_between_two_marks_costs_in_proportion(unit, before, after):
    assert grows_linearly(unit, before, after)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(HOSTILE) | st.text("0123456789 -.()+@:/_aZ电。", max_size=6), min_size=1, max_size=5
    ).map("".join)
)
def test_any_mixture_costs_in_proportion(unit):
    assert grows_linearly(unit or " ")


def test_the_measurement_would_notice_a_square():
    def quadratic(length: int) -> float:
        started = time.process_time()
        text = "a" * length
        for start in range(0, length, 16):
            text[start:].count("b")
        return time.process_time() - started

    assert quadratic(LONG * 8) > max(quadratic(SHORT * 8), NOISE) * GROWTH * 2
