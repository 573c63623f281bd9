"""The table of rules: what is read from agents, intents and artefacts, and what is left alone."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from portraits.rules import DEFAULT_RULES, AnnotatedMessage, Rule, observe, parse_rules

NINE_AGENTS = {
    "compliance_agent": {"status": "approved", "flags": ["allergy"]},
    "sentiment_agent": {"sentiment": "positive", "score": 0.4},
    "intent_agent": {"intent": "order_placement", "confidence": 0.9},
    "sales_agent": {"stage": "purchase", "purchases": [{"sku": "A1"}, {"sku": "B2"}]},
    "product_agent": {"products": ["A1"]},
    "memory_agent": {"preferences": {"skin_type": "oily"}, "recalled": 3},
    "strategy_agent": {"strategy": "confirm_and_close"},
    "proactive_agent": {"follow_up": "in a week"},
    "suggestion_agent": {"suggestions": ["try B"]},
}


def heard(**fields) -> AnnotatedMessage:
    return AnnotatedMessage(
        message_id=UUID(int=1), session_id=UUID(int=2), at=datetime(2026, 1, 1, tzinfo=UTC), **fields
    )


def read(rules=DEFAULT_RULES, **fields):
    return [(one.to, one.name, one.value) for one in observe(heard(**fields), rules)]


def test_all_nine_agents_say_something():
    assert read(agents=NINE_AGENTS) == [
        ("trait", "compliance_flags", ["allergy"]),
        ("sentiment", "", 0.4),
        ("trait", "current_intent", "order_placement"),
        ("trait", "sales_stage", "purchase"),
        ("purchase", "", {"sku": "A1"}),
        ("purchase", "", {"sku": "B2"}),
        ("trait", "products_of_interest", ["A1"]),
        ("trait", "skin_type", "oily"),
        ("trait", "strategy", "confirm_and_close"),
        ("trait", "follow_up", "in a week"),
        ("trait", "suggestions", ["try B"]),
    ]


@pytest.mark.parametrize("agent", NINE_AGENTS)
def test_each_agent_has_a_rule(agent):
    assert read(agents={agent: NINE_AGENTS[agent]})
    assert read(agents={agent.removesuffix("_agent"): NINE_AGENTS[agent]})


@pytest.mark.parametrize("kind", ["transcription", "image_analysis", "voice_pattern"])
def test_each_kind_of_artefact_feeds_traits(kind):
    found = read(attachments=[{"kind": kind, "data": {"tone": "warm", "confidence": 0.9}}])

    assert [value for _, _, value in found] == ["warm"]


def test_a_voice_has_a_mood():
    assert read(attachments=[{"kind": "voice_pattern", "data": {"emotion": "Happy"}}]) == [
        ("sentiment", "", 0.7)
    ]


def test_files_are_only_files():
    assert read(attachments=[{"kind": "file", "text": "x", "data": {"a": "b"}}]) == []


@pytest.mark.parametrize(
    "result",
    [
        None,
        "",
        7,
        [],
        {},
        {"score": "high"},
        {"score": 3},
        {"score": True},
        {"sentiment": "odd"},
        {"score": {"a": 1}},
    ],
)
def test_a_mood_that_cannot_be_read_is_none(result):
    assert [one for one in read(agents={"sentiment_agent": result}) if not isinstance(result, int)] == []


def test_the_confidence_is_the_agents_own_where_it_has_one():
    agents = {"intent_agent": {"intent": "buy", "confidence": 0.93}}

    assert next(observe(heard(agents=agents), DEFAULT_RULES)).confidence == 0.93
    agents["intent_agent"]["confidence"] = 93
    assert next(observe(heard(agents=agents), DEFAULT_RULES)).confidence == 0.6


@pytest.mark.parametrize("value", [None, False, "", "  ", [], {}, ["x" * 3000]])
def test_values_that_tell_nothing_or_too_much_are_left(value):
    assert read(agents={"memory_agent": {"preferences": {"a": value}}}) == []


def test_long_texts_are_cut():
    ((_, _, value),) = read(agents={"memory_agent": {"preferences": {"a": "x" * 3000}}})

    assert len(value) == 500


def test_a_table_of_ones_own_takes_the_place_of_ours():
    rules = parse_rules([{"source": "agent:mood", "path": "level", "to": "sentiment"}])

    assert read(rules, agents={"mood": {"level": -1}, "memory_agent": {"preferences": {"a": "b"}}}) == [
        ("sentiment", "", -1.0)
    ]
    assert parse_rules(None) == DEFAULT_RULES
    assert parse_rules([]) == ()


@pytest.mark.parametrize(
    "row",
    [
        {"source": "agent"},
        {"source": "elsewhere:x", "name": "a"},
        {"source": "agent:x"},
        {"source": "intent", "name": "a", "to": "opinion"},
        {"source": "intent", "name": "a", "confidence": 2},
        {"source": "intent", "name": "a", "colour": "red"},
        {},
    ],
)
def test_a_row_that_makes_no_sense_is_refused(row):
    with pytest.raises(msgspec.ValidationError):
        parse_rules([row])


def test_the_setting_is_checked_at_start(settings):
    from portraits.checks import check_rules

    assert check_rules(None) == []
    settings.PORTRAIT_RULES = [{"source": "nowhere"}]

    assert [error.id for error in check_rules(None)] == ["portraits.E001"]


def test_a_rule_names_its_defaults():
    assert Rule(source="intent", name="a") == parse_rules([{"source": "intent", "name": "a"}])[0]
