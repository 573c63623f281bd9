"""The weighted sum."""

from __future__ import annotations

import numpy as np
import pytest

from conversations.ranking import DEFAULT_PROFILE, Question, RecallProfile, rank
from conversations.ranking import features as feature
from tests.conversations.ranking.pools import candidate, vectors


def test_rank_of_nothing_is_nothing():
    assert rank(Question.parse("dog"), []) == []


def test_rank_puts_the_answer_first():
    answer = candidate("I got two dogs last May", name="Anna", previous="Do you have dogs?", session_score=3)
    others = [candidate("Do you have dogs?", session_score=3), candidate("The bank is shut", cosine=0.1)]

    ranked = rank(Question.parse("When did Anna get her dogs?", names=["Anna", "Bob"]), [*others, answer])

    assert [hit.id for hit in ranked][:2] == [answer.id, others[0].id]


def test_rank_parts_sum_to_the_score():
    spoken = [candidate("my dog", cosine=0.5, session_score=1), candidate("your cat?", previous="a dog?")]

    ranked = rank(Question.parse("dog"), spoken, term_vectors=vectors)

    assert [set(hit.parts) for hit in ranked] == [set(DEFAULT_PROFILE.weights)] * 2
    assert [sum(hit.parts.values()) for hit in ranked] == pytest.approx([hit.score for hit in ranked])
    assert ranked[0].score > ranked[1].score


def test_rank_of_a_lone_candidate_says_what_speaks_for_it():
    (hit,) = rank(Question.parse("dog"), [candidate("my dog", cosine=0.5, session_score=1)])

    assert {name for name, part in hit.parts.items() if part > 0} >= {"words", "vector"}
    assert hit.score > 0


def test_rank_keeps_the_given_order_among_equals_and_stops_at_the_limit():
    spoken = [candidate("same") for _ in range(5)]

    ranked = rank(Question.parse("dog"), spoken, limit=3)

    assert [hit.id for hit in ranked] == [c.id for c in spoken[:3]]


def test_rank_computes_only_what_the_profile_weighs():
    profile = RecallProfile(name="words only", weights={"words": 2.0})

    ranked = rank(Question.parse("dog"), [candidate("dog"), candidate("cat")], profile)

    assert [hit.parts for hit in ranked] == [{"words": pytest.approx(2.0)}, {"words": 0}]


def test_profile_refuses_a_feature_that_does_not_exist():
    profile = RecallProfile(weights={"magic": 1.0})

    with pytest.raises(KeyError, match="magic"):
        rank(Question.parse("dog"), [candidate("dog")], profile)


def test_rank_of_memories_and_messages_is_comparable():
    fact = candidate("Anna has a dog called Rex", session_id=None)
    other_fact = candidate("Prefers tea", session_id=None)
    answer = candidate("my dog Rex", session_score=5, name="Anna")
    chatter = candidate("thank you", session_score=5)

    ranked = [hit.id for hit in rank(Question.parse("dog Rex"), [chatter, other_fact, answer, fact])]

    assert set(ranked[:2]) == {fact.id, answer.id}


def test_rank_of_chinese():
    answer = candidate("我的退款什么时候到账", session_score=2)
    other = candidate("你们几点开门", session_score=1)

    assert rank(Question.parse("退款到账了吗"), [other, answer])[0].id == answer.id


def test_question_without_words_ranks_by_what_is_left():
    near, far = candidate("a", cosine=0.9), candidate("b", cosine=0.1)

    ranked = rank(Question.parse("???"), [far, near])

    assert [hit.id for hit in ranked] == [near.id, far.id]
    assert all(np.isfinite(hit.score) for hit in ranked)


def test_default_profile_weighs_every_feature():
    assert set(DEFAULT_PROFILE.weights) == set(feature.FEATURES)
