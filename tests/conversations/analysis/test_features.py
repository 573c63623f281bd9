"""What is kept of a turn."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.analysis import TurnFeatures, analyse, decode_features, encode_features
from conversations.analysis.features import MAX_CHARACTERS, MAX_WORDS


def test_words_of_a_turn_include_stop_words_as_stems():
    features = analyse("I was running, and she runs")

    assert features.words == " i was run and she run "


def test_forms_hold_the_most_frequent_form_of_each_stem():
    features = analyse("runs running running, shops")

    assert features.forms.split() == ["running", "shops"]


def test_forms_and_words_of_wordless_text_are_empty():
    features = analyse("👍 !!")

    assert (features.forms, features.words) == ("", "")


@pytest.mark.parametrize(
    ("text", "questions", "ends_asking"),
    [
        ("Really? I did not know.", True, False),
        ("Did you know? ", True, True),
        ("你好吗？", True, True),
        ("هل تعلم؟", True, True),
        ("No.", False, False),
        ("How are you? [shares a photo]", True, True),
    ],
)
def test_question_marks(text, questions, ends_asking):
    features = analyse(text)

    assert (features.questions, features.ends_asking) == (questions, ends_asking)


@pytest.mark.parametrize(
    ("text", "first_person"),
    [
        ("I'm here", True),
        ("Our house", True),
        ("Mine field, Ivan", False),
        ("He left", False),
        ("我昨天到的", True),
        ("他昨天到的", False),
    ],
)
def test_first_person(text, first_person):
    assert analyse(text).first_person is first_person


@pytest.mark.parametrize(
    ("text", "count"), [("You said your dog... you're right", 3), ("Youth", 0), ("您好，你们的订单", 2)]
)
def test_second_person_is_counted(text, count):
    assert analyse(text).second_person == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Last week, on Monday", 3),
        ("In 2023", 1),
        ("12345 things", 0),
        ("a weekend in June", 2),
        ("我们昨天下午到", 2),
        ("2023年5月8日", 3),
        ("上个月", 1),
        ("steadfast", 0),
    ],
)
def test_temporal_words_are_counted(text, count):
    assert analyse(text).temporal == count


@pytest.mark.parametrize(
    ("text", "has_number"),
    [
        ("two dogs", True),
        ("5", True),
        ("the 2nd", False),
        ("someone", False),
        ("三个苹果", True),
        ("一起去", False),
    ],
)
def test_number_words(text, has_number):
    assert analyse(text).has_number is has_number


@pytest.mark.parametrize(
    ("text", "proper"),
    [
        ("We met Anna and Bob, then Anna left", ("Anna", "Bob")),
        ("Reading “Charlotte's Web” now", ('"Charlotte\'s Web"',)),
        ("Hello there", ()),
        ("我在看《三体》和「活着」", ("《三体》", "「活着」")),
        ("Paris is where I met Émile", ("Emile",)),
        ("write to [EMAIL] and [Name of Person]", ()),
    ],
)
def test_proper_strings(text, proper):
    assert analyse(text).proper == proper


def test_brackets_hold_words_but_no_speech():
    features = analyse("Look! [shares a photo of my two dogs yesterday]")

    assert "dogs" in features.forms.split()
    assert (features.first_person, features.has_number, features.temporal) == (False, False, 0)


def test_language_without_lists_has_no_such_features():
    text = "you and I met 2 times yesterday, said Anna"

    features = analyse(text, "de-CH")

    assert features.words == analyse(text).words
    assert features == TurnFeatures(forms=features.forms, words=features.words)


@pytest.mark.parametrize("language", [None, "", "en", "en-SG", "zh_Hant", "ZH", "und"])
def test_mixed_text_has_the_features_of_both_languages(language):
    features = analyse("我 yesterday 去了 you", language)

    assert features.first_person
    assert (features.temporal, features.second_person) == (1, 1)


def test_long_turns_are_cut():
    features = analyse("word " * MAX_WORDS + "x" * MAX_CHARACTERS + " I, in 2023?")

    assert features.words.split() == ["word"] * MAX_WORDS
    assert (features.first_person, features.temporal) == (False, 0)
    assert (features.questions, features.ends_asking) == (True, True)


@pytest.mark.parametrize("piece", ["[", "《", '"a', "一", "1", "A", "a,  ", "「x"])
def test_no_text_takes_long(piece):
    started = time.thread_time()

    analyse(piece * (256_000 // len(piece.encode())))

    assert time.thread_time() - started < 2


@given(st.text(), st.sampled_from([None, "en", "zh", "fr"]))
def test_features_survive_encoding(text, language):
    features = analyse(text, language)

    assert decode_features(encode_features(features)) == features


def test_decode_refuses_something_else():
    with pytest.raises(msgspec.DecodeError):
        decode_features(b"\x93\x01\x02\x03")
