"""Choices and slots."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.demo.script import Choice, Let, Line
from conversations.demo.stage import Stage, seeded

FRIDAY = datetime(2025, 11, 21, 8, tzinfo=UTC)
POOLS = {"cup": ({"name": "red", "price": "3"}, {"name": "blue", "price": "4"})}


def stage(key: str = "k", language: str = "en", telling: int = 0) -> Stage:
    return Stage(seeded(key), POOLS, FRIDAY, language, telling)


def test_slot_keeps_its_value():
    told = stage()

    assert told.say("{cup}") == told.say("{cup.name}")


def test_numbered_slots_of_one_pool_differ():
    told = stage()

    assert {told.say("{cup}"), told.say("{cup2}")} == {"red", "blue"}


def test_innermost_choice_is_made_first():
    assert {stage(telling=n).say("[a|[b|c]d]") for n in range(6)} <= {"a", "bd", "cd"}


@given(first=st.integers(0, 50))
def test_tellings_in_a_row_make_every_choice(first):
    tellings = [stage(telling=first + n) for n in range(3)]
    branches = tuple((Line("user", letter),) for letter in "abc")

    assert {line for told in tellings for line in told.play((Choice(branches),))} == {b[0] for b in branches}


def test_json_is_left_alone():
    assert stage().say('{"a": [1, 2], "b": {}}') == '{"a": [1, 2], "b": {}}'


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "{weekday} {date}", "Friday 21 November"),
        ("en", "{weekday+3} {date+10}", "Monday 1 December"),
        ("zh", "{weekday-1} {date-21}", "周四 10月31日"),
    ],
)
def test_days_are_told_in_the_language(language, text, expected):
    assert stage(language=language).say(text) == expected


def test_lets_are_drawn_in_order_and_inherited_ones_kept():
    told = stage()
    told.slots["n"] = "7"

    told.set_up((Let("n", "1..3", is_sum=False), Let("sum", "{n}*0.34 + 2", is_sum=True)))

    assert told.say("{n} {sum}") == "7 4.38"


@given(key=st.text(max_size=20))
def test_ranges_keep_to_bounds_and_step(key):
    told = stage(key)

    told.set_up((Let("n", "200..600/50", is_sum=False),))

    assert int(told.say("{n}")) in range(200, 601, 50)


@given(key=st.text(max_size=20))
def test_same_key_plays_the_same(key):
    beats = (Choice(((Line("user", "a"),), (Line("user", "b"),), ())), Line("assistant", "c"))

    assert list(stage(key).play(beats)) == list(stage(key).play(beats))
