"""The recall benchmark, on a conversation of our own in LoCoMo's shape."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import locomo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path):
    lines = [
        [("Ines", "Did you book the ferry?"), ("Tomo", "Yes, for Friday.", "a red ferry")],
        [("Ines", "My violin broke yesterday."), ("Tomo", "What a pity."), ("Ines", "The bridge snapped.")],
    ]
    talk = {"speaker_a": "Ines", "speaker_b": "Tomo"}
    for number, session in enumerate(lines, 1):
        talk[f"session_{number}_date_time"] = f"1:00 pm on {number} March, 2024"
        talk[f"session_{number}"] = [
            {"dia_id": f"D{number}:{i}", "speaker": speaker, "text": text, "blip_caption": "".join(caption)}
            for i, (speaker, text, *caption) in enumerate(session, 1)
        ]
    questions = [
        {"question": "What happened to Ines' violin?", "evidence": ["D2:1; D2:3"], "category": 1},
        {"question": "When does the ferry go?", "evidence": ["D1:2", "D9:9"], "category": 2},
        {"question": "Who is nobody?", "evidence": [], "category": 5},
    ]
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([{"sample_id": "x", "conversation": talk, "qa": questions}]))
    return path


def test_reading_keeps_questions_with_evidence_that_exists(data):
    (conversation,) = locomo.read(data)

    assert [turn.text for turn in conversation.turns][1] == "Yes, for Friday. [shares a red ferry]"
    assert [turn.session for turn in conversation.turns] == [1, 1, 2, 2, 2]
    assert [query.evidence for query in conversation.queries] == [{2, 4}, {1}]


def test_judging_counts_evidence_and_its_rank(data):
    (conversation,) = locomo.read(data)
    violin = conversation.queries[0]

    best = locomo.judge(violin, conversation.turns, [4, 2, 0])
    worse = locomo.judge(violin, conversation.turns, [0, 2])

    assert (best.recall, best.ndcg, best.session_hit) == (1, pytest.approx(1), 1)
    assert worse.recall == 0.5
    assert worse.ndcg == pytest.approx(0.6309 / 1.6309, abs=1e-4)
    assert worse.session_hit == 0


def test_summary_weighs_questions_for_recall_and_categories_for_ndcg():
    outcomes = [locomo.Outcome(1, 1, 1, 1), locomo.Outcome(1, 1, 1, 1), locomo.Outcome(2, 0, 0, 0)]

    assert locomo.summary(outcomes) == pytest.approx((200 / 3, 50, 2 / 3))


@pytest.mark.parametrize("options", [[], ["--sessions", "ts_rank", "--without", "vector"]])
def test_benchmark_prints_its_figures(data, options):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/recall_offline.py", data, *options],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("2 questions: R@10 100.0, ")
    assert "temporal" in done.stdout
