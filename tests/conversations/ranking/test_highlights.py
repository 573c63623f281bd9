"""Fragments with the matches marked."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.ranking import Question, highlight

ASKED = Question.parse("Which dogs like cheese?")


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("My dog likes it.", ["My <em>dog</em> <em>likes</em> it."]),
        ("Cheese!", ["<em>Cheese</em>!"]),
        ("Nothing here", []),
        ("", []),
        ('<b>dog</b> & "cheese"', ["&lt;b&gt;<em>dog</em>&lt;/b&gt; &amp; &quot;<em>cheese</em>&quot;"]),
    ],
)
def test_matches_are_marked_and_the_rest_is_escaped(text, fragments):
    assert highlight(text, ASKED) == fragments


def test_markup_in_a_match_cannot_be_forged():
    assert highlight("<em>dog</em>", ASKED) == ["&lt;em&gt;<em>dog</em>&lt;/em&gt;"]


def test_chinese_pairs_become_one_match():
    assert highlight("请问我的退款单号是多少", Question.parse("退款单号")) == [
        "请问我的<em>退款单号</em>是多少"
    ]


def test_match_is_marked_as_written():
    assert highlight("the ＣＨＥＥＳＥ", ASKED) == ["the <em>ＣＨＥＥＳＥ</em>"]


def test_long_text_is_cut_between_words():
    text = "word " * 100 + "dog " + "word " * 100

    (fragment,) = highlight(text, ASKED, length=50)

    assert fragment.startswith("…word ")
    assert fragment.endswith(" word…")
    assert len(fragment) < 70


def test_richest_fragments_are_chosen_and_kept_in_order():
    filler = " word" * 20
    text = f"dog{filler} cheese dog{filler} dog{filler} like cheese dogs"

    fragments = highlight(text, ASKED, limit=2, length=40)

    assert [re.findall("<em>(.*?)</em>", fragment) for fragment in fragments] == [
        ["cheese", "dog"],
        ["like", "cheese", "dogs"],
    ]


def test_number_of_fragments_is_limited():
    assert len(highlight(("dog " + "x " * 100) * 9, ASKED, limit=3, length=30)) == 3


@given(st.text(alphabet="dog chees<&>\"' 退款🐕", max_size=400), st.integers(1, 80))
def test_fragments_are_pieces_of_the_text(text, length):
    for fragment in highlight(text, Question.parse("dog cheese 退款"), length=length):
        plain = html.unescape(re.sub("</?em>", "", fragment)).strip("…")
        assert plain in text
        assert fragment.count("<em>") == fragment.count("</em>") > 0
