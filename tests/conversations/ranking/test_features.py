"""Each feature by itself."""

from __future__ import annotations

from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.analysis import analyse
from conversations.ranking import Candidate
from conversations.ranking import features as feature
from conversations.ranking.bm25 import idf
from tests.conversations.ranking.pools import SESSION, candidate, pool, vectors


def test_word_overlap_weighs_terms_by_rarity_and_likeness():
    scores = feature.word_overlap(
        pool("dog bank", candidate("puppy"), candidate("bank"), candidate("bank dog"), term_vectors=vectors)
    )

    rare, common = idf(3, np.array([1.0, 2.0]))
    assert scores == pytest.approx([rare * 0.5 / 0.7, common, rare + common], rel=1e-6)


def test_question_before_counts_only_if_it_asks():
    scores = feature.question_before(
        pool("dog", candidate(previous="A dog?"), candidate(previous="A dog."), candidate("dog"))
    )

    assert scores[0] > 0
    assert scores[1:].tolist() == [0, 0]


def test_words_two_before_are_those_of_the_second_previous_turn():
    scores = feature.words_two_before(
        pool("dog", candidate(second_previous="dog"), candidate("dog", previous="dog?"))
    )

    assert scores[0] > 0
    assert scores[1] == 0


def test_words_after_are_those_of_the_next_candidate_of_the_session():
    scores = feature.words_after(
        pool(
            "dog",
            candidate("shall we?", position=3),
            candidate("a dog", position=4),
            candidate("no", position=3, session_id=UUID(int=2)),
            candidate("a fact", session_id=None),
        )
    )

    assert scores[0] > 0
    assert scores[1:].tolist() == [0, 0, 0]


def test_turns_shared_by_candidates_are_looked_at_once():
    turn = analyse("A dog?")
    first = Candidate(id=uuid4(), features=turn, session_id=SESSION)
    second = Candidate(id=uuid4(), features=analyse("yes"), session_id=SESSION, previous=turn)

    assert len(pool("dog", first, second).turns) == 3


def test_session_is_the_engines_score():
    scores = feature.session(pool("dog", candidate(session_score=2), candidate(session_score=8), candidate()))

    assert scores == pytest.approx([0.25, 1, 0])


def test_session_of_a_memory_is_the_memory_itself():
    scores = feature.session(
        pool(
            "dog bank",
            candidate("dog bank", session_id=None),
            candidate("dog", session_score=4),
            candidate(session_score=3),
        )
    )

    assert scores == pytest.approx([1, 1, 0])


def test_vector_of_a_candidate_not_returned_is_the_last_hit():
    scores = feature.vector(pool("dog", candidate(cosine=0.9), candidate(cosine=0.4), candidate()))

    assert scores.tolist() == [0.9, 0.4, 0.4]


def test_vector_without_any_hit_says_nothing():
    assert feature.vector(pool("dog", candidate(), candidate())).tolist() == [0, 0]


def test_phrases_are_neighbouring_stems_stop_words_included():
    scores = feature.phrases(
        pool("out of order", candidate("it is out of orders"), candidate("order out of"), candidate("of out"))
    )

    assert scores[0] > scores[1] > scores[2] == 0


def test_phrases_of_chinese_are_three_characters():
    scores = feature.phrases(pool("退款单", candidate("退款单号"), candidate("退款"), candidate("款单")))

    assert scores[0] > 0
    assert scores[1:].tolist() == [0, 0]


def test_session_date_matches_day_month_and_year():
    dates = ["8 May 2023", "9 June 2023", "8 May 2022", ""]

    scores = feature.session_date(pool("on May 8, 2023", *(candidate(date_text=date) for date in dates)))

    assert scores[0] > scores[2] > scores[1] > scores[3] == 0


def test_session_date_matches_a_month_named_in_chinese():
    dates = ["8 May 2023", "9 June 2023"]

    scores = feature.session_date(pool("五月说了什么", *(candidate(date_text=date) for date in dates)))

    assert scores[0] > scores[1] == 0


def test_named_speaker_must_speak_of_themselves():
    spoken = [
        candidate("I ran", name="Anna"),
        candidate("She ran", name="Anna"),
        candidate("I ran", name="Bob"),
    ]

    assert feature.named_speaker(pool("Did Anna run?", *spoken, names=["Anna", "Bob"])).tolist() == [1, 0, 0]
    assert feature.named_speaker(pool("Did anyone run?", *spoken, names=["Anna", "Bob"])).tolist() == [
        0,
        0,
        0,
    ]


def test_named_speaker_is_nobody_when_two_are_named():
    spoken = candidate("I ran", name="Anna")

    scores = feature.named_speaker(pool("Did Anna meet Bob?", spoken, names=["Anna", "Bob"]))

    assert scores.tolist() == [0]


def test_temporal_marks_words_of_time():
    assert feature.temporal(pool("x", candidate("last week"), candidate("here"))).tolist() == [1, 0]


def test_ends_asking_marks_questions():
    assert feature.ends_asking(pool("x", candidate("Why?"), candidate("Why? So."))).tolist() == [1, 0]


def test_second_person_grows_by_the_logarithm():
    scores = feature.second_person(pool("x", candidate("you and your"), candidate("me")))

    assert scores == pytest.approx([np.log(3), 0])


def test_proper_names_answer_questions_for_a_name():
    spoken = [candidate("We saw Lisbon with Anna, then Lisbon again"), candidate("then I left")]

    asked = feature.proper_names(pool("Where did Anna go?", *spoken, names=["Anna"]))
    unasked = feature.proper_names(pool("Why did Anna go?", *spoken, names=["Anna"]))

    assert asked == pytest.approx([np.log(2), 0])
    assert unasked.tolist() == [0, 0]


def test_when_counts_at_most_two_words_of_time():
    spoken = [candidate("Monday"), candidate("last week, on Monday"), candidate("here")]

    assert feature.when(pool("When was it?", *spoken)).tolist() == [1, 2, 0]
    assert feature.when(pool("Where was it?", *spoken)).tolist() == [0, 0, 0]


def test_how_many_marks_numbers():
    spoken = [candidate("two dogs"), candidate("dogs")]

    assert feature.how_many(pool("How many dogs?", *spoken)).tolist() == [1, 0]
    assert feature.how_many(pool("Which dogs?", *spoken)).tolist() == [0, 0]


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=20, unique=True))
def test_spread_reaches_from_zero_to_one_and_keeps_the_order(values):
    spread = feature.spread(np.array(values, float))

    assert spread.min() == 0
    assert spread.max() == pytest.approx(1)
    assert np.argsort(spread).tolist() == np.argsort(values).tolist()


def test_spread_of_equal_values_is_zero():
    assert feature.spread(np.array([3.0, 3.0])).tolist() == [0, 0]


def test_spread_of_none_is_none():
    assert feature.spread(np.array([])).tolist() == []
