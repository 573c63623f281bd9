"""Which agent results say something about a customer: one table (`PORTRAIT_RULES`), and how it is applied."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

LONGEST_TEXT = 500
LARGEST_VALUE = 2_048  # bytes as JSON
MOST_ITEMS = 50

MOODS = {
    "very_negative": -0.9,
    "negative": -0.6,
    "angry": -0.8,
    "frustrated": -0.7,
    "sad": -0.6,
    "anxious": -0.4,
    "neutral": 0.0,
    "calm": 0.2,
    "positive": 0.6,
    "happy": 0.7,
    "excited": 0.8,
    "very_positive": 0.9,
}


class Rule(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One row of the table.

    `source` is `agent:<name>`, `attachment:<kind>` or `intent`. `path` leads into what is found there, dot by dot; a
    `*` at its end means each entry, whose key takes the place of the `*` in `name`.
    """

    source: str
    path: str = ""
    to: Literal["trait", "sentiment", "purchase"] = "trait"
    name: Annotated[str, Meta(max_length=200)] = ""
    confidence: Annotated[float, Meta(ge=0, le=1)] = 0.6
    confidence_path: str = ""
    moods: dict[str, float] = {}
    without: tuple[str, ...] = ()  # entries that say nothing about the customer

    def __post_init__(self) -> None:
        kind, _, name = self.source.partition(":")
        if not (self.source == "intent" or (kind in ("agent", "attachment") and name)):
            raise ValueError("`source` is `agent:<name>`, `attachment:<kind>` or `intent`")
        if self.to == "trait" and not self.name:
            raise ValueError("a trait needs a name")


@dataclass(frozen=True, kw_only=True)
class AnnotatedMessage:
    """What a message carries beside its text."""

    message_id: UUID
    session_id: UUID
    at: datetime
    intent: str | None = None
    intent_confidence: float | None = None
    agents: Mapping[str, Any] | None = None
    attachments: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What one rule reads from one message."""

    to: str
    name: str
    value: Any
    confidence: float
    heard: AnnotatedMessage


_NO_TRAITS = ("confidence", "score", "model", "version", "duration", "duration_seconds")

DEFAULT_RULES: tuple[Rule, ...] = (
    # The nine agents of the cosmetics system.
    Rule(source="agent:compliance_agent", path="flags", name="compliance_flags", confidence=0.8),
    Rule(source="agent:sentiment_agent", path="score", to="sentiment"),
    Rule(source="agent:sentiment_agent", path="sentiment_score", to="sentiment"),
    Rule(source="agent:sentiment_agent", path="sentiment", to="sentiment", moods=MOODS),
    Rule(source="agent:sentiment_agent", path="label", to="sentiment", moods=MOODS),
    Rule(source="agent:sentiment_agent", to="sentiment", moods=MOODS),
    Rule(source="intent", name="current_intent"),
    Rule(source="agent:intent_agent", path="intent", name="current_intent", confidence_path="confidence"),
    Rule(source="agent:sales_agent", path="stage", name="sales_stage"),
    Rule(source="agent:sales_agent", path="purchases", to="purchase"),
    Rule(source="agent:sales_agent", path="order", to="purchase"),
    Rule(source="agent:product_agent", path="products", name="products_of_interest"),
    Rule(source="agent:product_agent", path="recommendations", name="products_recommended"),
    Rule(source="agent:memory_agent", path="preferences.*", name="*", confidence=0.7),
    Rule(source="agent:memory_agent", path="facts.*", name="*", confidence=0.7),
    Rule(source="agent:memory_agent", path="profile.*", name="*", confidence=0.7),
    Rule(source="agent:strategy_agent", path="strategy", name="strategy"),
    Rule(source="agent:proactive_agent", path="follow_up", name="follow_up"),
    Rule(source="agent:suggestion_agent", path="suggestions", name="suggestions"),
    # Voice patterns and image analyses.
    Rule(source="attachment:image_analysis", path="text", name="image_analysis", confidence=0.5),
    Rule(
        source="attachment:image_analysis",
        path="data.*",
        name="*",
        confidence_path="data.confidence",
        without=_NO_TRAITS,
    ),
    Rule(source="attachment:voice_pattern", path="data.emotion", to="sentiment", moods=MOODS),
    Rule(source="attachment:voice_pattern", path="text", name="voice_pattern", confidence=0.5),
    Rule(
        source="attachment:voice_pattern",
        path="data.*",
        name="voice_*",
        confidence_path="data.confidence",
        without=(*_NO_TRAITS, "emotion"),
    ),
    Rule(source="attachment:transcription", path="data.*", name="speech_*", without=_NO_TRAITS),
)


def parse_rules(given: Any) -> tuple[Rule, ...]:
    """The table of a setting; the default one for None. `msgspec.ValidationError` says what is wrong with it."""
    return DEFAULT_RULES if given is None else msgspec.convert(given, tuple[Rule, ...])


def observe(heard: AnnotatedMessage, rules: Sequence[Rule]) -> Iterator[Observation]:
    """What the rules observe in a message, in the order of the table; of a mood only the first observation."""
    in_a_mood = False
    for rule in rules:
        for found in _found(heard, rule):
            if rule.to == "sentiment":
                if in_a_mood:
                    continue
                in_a_mood = True
            yield found


def _found(heard: AnnotatedMessage, rule: Rule) -> Iterator[Observation]:
    for root, confidence in _roots(heard, rule):
        for key, value in _entries(root, rule.path):
            if key in rule.without:
                continue
            for clean in _clean(value, rule):
                yield Observation(rule.to, rule.name.replace("*", key)[:200], clean, confidence, heard)


def _roots(heard: AnnotatedMessage, rule: Rule) -> Iterator[tuple[Any, float]]:
    """What the rule's source has to say, with the confidence it says it with."""
    kind, _, name = rule.source.partition(":")
    if kind == "intent":
        if heard.intent is not None:
            yield heard.intent, _fraction(heard.intent_confidence, rule.confidence)
        return
    if kind == "agent":
        agents = heard.agents or {}
        results = [agents.get(name, agents.get(name.removesuffix("_agent")))]
    else:
        results = [one for one in heard.attachments if one.get("kind") == name]
    for result in results:
        if result is not None:
            said = next((value for _, value in _entries(result, rule.confidence_path)), None)
            yield result, _fraction(said if rule.confidence_path else None, rule.confidence)


def _entries(root: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What the path leads to; with a `*` at its end, each entry with its key."""
    steps = path.split(".") if path else []
    for step in steps:
        if not isinstance(root, dict):
            return
        if step == "*":
            yield from ((str(key), value) for key, value in root.items())
            return
        root = root.get(step)
    yield "", root


def _clean(value: Any, rule: Rule) -> Iterator[Any]:
    """The value in the form that the target keeps, nothing where it cannot keep it."""
    if rule.to == "sentiment":
        score = rule.moods.get(value.strip().lower()) if isinstance(value, str) else value
        if isinstance(score, int | float) and not isinstance(score, bool) and -1 <= score <= 1:
            yield float(score)
    elif rule.to == "purchase" and isinstance(value, list):
        for one in value[:MOST_ITEMS]:
            yield from _clean(one, rule)
    elif isinstance(value, str):
        if value.strip():
            yield value.strip()[:LONGEST_TEXT]
    elif value not in (None, False, [], {}) and len(msgspec.json.encode(value)) <= LARGEST_VALUE:
        yield value


def _fraction(value: Any, otherwise: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else otherwise
