"""What the cosmetics shop's nine agents report with every reply."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from conversations.demo.records import Json
from conversations.demo.script import Line, Note

STAGES = {
    "skin_consultation": "discovery",
    "product_question": "consideration",
    "order_placement": "purchase",
    "order_status": "after_sales",
    "return_request": "after_sales",
    "complaint": "after_sales",
    "thanks": "loyalty",
}
STRATEGIES = {
    "discovery": "ask_before_recommending",
    "consideration": "compare_two_options",
    "purchase": "confirm_and_close",
    "after_sales": "solve_first",
    "loyalty": "leave_the_door_open",
}
MEDICAL = {"allergy", "pregnancy", "medical"}


def agent_responses(
    asked: Line | None, notes: Sequence[Note], skus: Sequence[str], rng: random.Random
) -> Json:
    """One result for each of the nine agents; `notes` of the line carry what the writer decided."""
    said = {note.key: note.value for note in notes}
    intent = asked.intent if asked and asked.intent else "small_talk"
    stage = STAGES.get(intent, "discovery")
    return {
        "compliance_agent": _compliance(intent, said),
        "sentiment_agent": _sentiment(asked, rng),
        "intent_agent": {"intent": intent, "confidence": (asked and asked.confidence) or 0.6},
        "sales_agent": {"stage": stage, "ready_to_buy": stage == "purchase", "upsell": "upsell" in said},
        "product_agent": {"products": list(skus)},
        "memory_agent": {"preferences": _remembered(notes), "recalled": rng.randrange(6)},
        "strategy_agent": {"strategy": said.get("strategy", STRATEGIES[stage])},
        "proactive_agent": {"follow_up": said.get("follow_up")},
        "suggestion_agent": {"suggestions": [note.value for note in notes if note.key == "suggest"]},
    }


def _compliance(intent: str, said: Mapping[str, str]) -> Json:
    flags = [said["flag"]] if "flag" in said else []
    needs_care = bool(flags) or intent in MEDICAL
    return {"status": "approved_with_note" if needs_care else "approved", "flags": flags}


def _sentiment(asked: Line | None, rng: random.Random) -> Json:
    mood = asked.mood if asked and asked.mood is not None else 0.1
    score = round(max(-1.0, min(1.0, mood + rng.uniform(-0.08, 0.08))), 2)
    label = "negative" if score < -0.2 else "positive" if score > 0.2 else "neutral"
    return {"sentiment": label, "score": score}


def _remembered(notes: Sequence[Note]) -> Json:
    """`! remember: skin_type = oily`"""
    pairs = (note.value.partition(" = ") for note in notes if note.key == "remember")
    return {key: value for key, _, value in pairs}
