"""Reads the LoCoMo file (Maharana et al. 2024, CC BY-NC 4.0) and computes its measures.

The data are for evaluation only and are no part of this repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

DEPTH = 10
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}


@dataclass(frozen=True)
class Turn:
    id: str
    session: int
    speaker: str
    text: str
    date: str
    at: datetime
    """The session's beginning, and twenty seconds for each turn before."""


@dataclass(frozen=True)
class Query:
    text: str
    evidence: frozenset[int]
    """Indexes of the turns that hold the answer."""
    category: int


@dataclass(frozen=True)
class Conversation:
    name: str
    turns: list[Turn]
    names: tuple[str, str]
    queries: list[Query]


@dataclass(frozen=True)
class Outcome:
    category: int
    recall: float
    ndcg: float
    session_hit: float


def read(path: Path) -> list[Conversation]:
    return [_conversation(entry) for entry in json.loads(path.read_text())]


def judge(query: Query, turns: Sequence[Turn], top: Sequence[int]) -> Outcome:
    """Recall and NDCG of the first ten turns, and whether the first one's session holds evidence."""
    discounts = 1 / np.log2(np.arange(DEPTH) + 2)
    hits = np.array([turn in query.evidence for turn in top[:DEPTH]], float)
    ideal = discounts[: len(query.evidence)].sum()
    sessions = {turns[turn].session for turn in query.evidence}
    return Outcome(
        category=query.category,
        recall=hits.sum() / len(query.evidence),
        ndcg=float(hits @ discounts[: len(hits)]) / ideal,
        session_hit=float(bool(len(top)) and turns[top[0]].session in sessions),
    )


def summary(outcomes: Iterable[Outcome]) -> tuple[float, float, float]:
    """R@10 over all questions, NDCG@10 averaged over the categories, session Hit@1."""
    found = list(outcomes)
    by_category = [[o.ndcg for o in found if o.category == c] for c in CATEGORIES]
    return (
        100 * float(np.mean([o.recall for o in found])),
        100 * float(np.mean([np.mean(scores) for scores in by_category if scores])),
        float(np.mean([o.session_hit for o in found])),
    )


def _conversation(entry: dict[str, Any]) -> Conversation:
    talk = entry["conversation"]
    turns: list[Turn] = []
    place: dict[str, int] = {}
    number = 1
    while f"session_{number}" in talk:
        when = talk.get(f"session_{number}_date_time", "")
        began = _moment(when)
        for spoken, turn in enumerate(talk[f"session_{number}"]):
            place[turn["dia_id"]] = len(turns)
            caption = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            turns.append(
                Turn(
                    id=turn["dia_id"],
                    session=number,
                    speaker=turn["speaker"],
                    text=turn["text"] + caption,
                    date=when.split(" on ")[-1],
                    at=began + timedelta(seconds=20 * spoken),
                )
            )
        number += 1
    queries = [_query(question, place) for question in entry["qa"]]
    names = (talk["speaker_a"], talk["speaker_b"])
    return Conversation(entry["sample_id"], turns, names, [query for query in queries if query.evidence])


def _moment(text: str) -> datetime:
    """`1:56 pm on 8 May, 2023`."""
    return datetime.strptime(text.replace(",", ""), "%I:%M %p on %d %B %Y").replace(tzinfo=UTC)


def _query(question: dict[str, Any], place: dict[str, int]) -> Query:
    # Some evidence entries name several turns in one string, some none that exists.
    named = re.findall(r"D\d+:\d+", " ".join(question.get("evidence") or []))
    evidence = frozenset(place[turn] for turn in named if turn in place)
    return Query(question["question"], evidence, question["category"])
