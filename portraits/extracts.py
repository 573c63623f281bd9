"""A summary without a language model: the sentences that carry most of what a customer said."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from conversations.analysis import lexemes

MOST_SENTENCES = 4
LONGEST_SENTENCE = 240
FEWEST_WORDS = 3
ALIKE = 0.6  # share of the shorter sentence's words from which two sentences say the same

_SENTENCE = re.compile(r"[^.!?。！？…\n]{1,4000}[.!?。！？…]*")


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a customer said in one message; scrubbed."""

    message_id: UUID
    text: str


@dataclass(frozen=True, slots=True)
class Extract:
    """Sentences in the order they were said, and the messages they stand in."""

    text: str
    message_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class _Sentence:
    place: int
    message_id: UUID
    text: str
    words: frozenset[str]


def extract(said: Sequence[Utterance]) -> Extract | None:
    """Up to four sentences; None when nothing of weight was said.

    A word weighs by how many of the sentences have it, as in SumBasic (Nenkova and Vanderwende 2005): what comes up
    again is what it is about. Long sentences do not win by length alone, and what was said already adds nothing.
    """
    sentences = _sentences(said)
    counts = Counter(word for sentence in sentences for word in sentence.words)
    chosen: list[_Sentence] = []
    left = sentences
    covered: set[str] = set()
    while left and len(chosen) < MOST_SENTENCES:
        best = max(left, key=lambda one: (_weight(one, counts, covered), one.place))
        chosen.append(best)
        covered |= best.words
        left = [one for one in left if one is not best and not _is_alike(one, best)]
    if not chosen:
        return None
    chosen.sort(key=lambda one: one.place)
    return Extract(
        " ".join(one.text for one in chosen), tuple(dict.fromkeys(one.message_id for one in chosen))
    )


def _sentences(said: Sequence[Utterance]) -> list[_Sentence]:
    found: list[_Sentence] = []
    for message in said:
        for match in _SENTENCE.finditer(message.text):
            text = " ".join(match.group().split())[:LONGEST_SENTENCE]
            words = frozenset(lexemes(text))
            if len(words) >= FEWEST_WORDS:
                found.append(_Sentence(len(found), message.message_id, text, words))
    return found


def _weight(sentence: _Sentence, counts: Counter[str], covered: set[str]) -> float:
    new = sentence.words - covered
    return sum(math.log1p(counts[word]) for word in new) / math.sqrt(len(sentence.words))


def _is_alike(one: _Sentence, other: _Sentence) -> bool:
    return len(one.words & other.words) >= ALIKE * min(len(one.words), len(other.words))
