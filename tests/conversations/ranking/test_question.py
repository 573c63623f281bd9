"""A query, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.ranking import Question

NAMES = ["Caroline", "Melanie"]


def parse(text, names=NAMES, language=None):
    return Question.parse(text, names=names, language=language)


def test_question_loses_names_and_stop_words():
    question = parse("What running shoes did Caroline buy?")

    assert question.stems == ("run", "shoe", "buy")
    assert question.forms == ("running", "shoes", "buy")
    assert question.stripped == "running shoes buy"


def test_whole_stems_keep_names_and_dates():
    question = parse("Where was Caroline after 8 May?")

    assert question.whole_stems == ("carolin", "after", "8", "may")


def test_pairs_are_neighbours_of_the_whole_question():
    assert parse("Did she go?").pairs == {("did", "she"), ("she", "go")}


def test_stems_and_forms_are_distinct():
    question = parse("run running RUNS")

    assert question.stems == ("run",)
    assert len(question.forms) == 1


@pytest.mark.parametrize(
    ("text", "speaker"),
    [
        ("What did Caroline say?", "Caroline"),
        ("what did caroline say", "Caroline"),
        ("What did Caro say?", "Caroline"),
        ("Mel's dog", "Melanie"),
        ("What car was it?", None),
        ("Did Caroline meet Melanie?", None),
        ("Who came?", None),
        ("a caroline-blue Carolines", "Caroline"),
        ("Carolinesque", None),
    ],
)
def test_speaker_is_the_one_who_is_named(text, speaker):
    assert parse(text).speaker == speaker


def test_short_form_in_small_letters_is_a_word():
    assert parse("What car did Caroline buy?").stems == ("car", "buy")


def test_role_as_speaker_has_no_short_forms():
    assert parse("Use the form", ["user"]).speaker is None
    assert parse("What did the user say?", ["user"]).speaker == "user"


def test_speaker_of_several_words_is_named_by_any_of_them():
    names = ["Anna de la Cruz", "Bob"]

    assert parse("What did Cruz buy?", names).speaker == "Anna de la Cruz"
    assert parse("What did anna de la cruz buy?", names).stems == ("buy",)


def test_speaker_with_accents_is_named_without():
    assert parse("What did Zoe buy?", ["Zoë", "Bob"]).speaker == "Zoë"


def test_chinese_speaker_is_named_inside_a_sentence():
    question = parse("王小明上次买了什么", ["王小明", "李雷"])

    assert question.speaker == "王小明"
    assert question.stripped == "上次买了什么"


@pytest.mark.parametrize("name", ["", "  ", "A", "and", "李", "…"])
def test_name_that_cannot_be_told_from_text_is_ignored(name):
    question = parse("A dog and 李雷", [name])

    assert (question.speaker, question.speakers) == (None, frozenset())


def test_question_of_stop_words_keeps_them():
    assert parse("What is it about?").stems == ("what", "is", "it", "about")


def test_question_of_a_name_only_keeps_it():
    question = parse("Caroline?")

    assert question.stems == ("carolin",)
    assert question.stripped == "Caroline?"


def test_question_without_words_is_embedded_as_it_stands():
    question = parse("👍")

    assert (question.stems, question.whole_stems, question.stripped) == ((), (), "👍")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("When did she go?", {"when"}),
        ("In which month was it?", {"when"}),
        ("How long did it take?", {"when", "how many"}),
        ("How many dogs?", {"how many"}),
        ("Who came?", {"name"}),
        ("What is the name of the dog?", {"name"}),
        ("What did she do when it rained?", set()),
        ("她什么时候来的？", {"when"}),
        ("一共多少钱", {"how many"}),
        ("她去了哪里", {"name"}),
    ],
)
def test_kind_of_answer(text, kinds):
    question = parse(text)

    found = {"when": question.asks_when, "how many": question.asks_how_many, "name": question.asks_for_name}
    assert {kind for kind, asked in found.items() if asked} == kinds


def test_kind_of_answer_is_unknown_in_a_language_without_lists():
    question = parse("When? Who? How many?", language="fr")

    assert (question.asks_when, question.asks_how_many, question.asks_for_name) == (False, False, False)


@given(st.text(), st.lists(st.text(max_size=10), max_size=4))
def test_any_text_is_a_question(text, names):
    question = parse(text, names)

    assert len(question.stems) == len(set(question.stems)) == len(question.forms)
    assert question.speaker is None or question.speaker in names
