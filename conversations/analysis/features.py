"""Features of one turn, computed once when it is stored and kept in compact binary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

from conversations.analysis.languages import STOP_WORDS, lists_for
from conversations.analysis.tokens import fold, stem, words

MAX_WORDS = 4_000
MAX_CHARACTERS = 20_000
"""How much of a turn ranking looks at, for its words and for its manner; the rest is still found by its lexemes."""

_BRACKETED = re.compile(r"\[[^\[\]]*\]")


class TurnFeatures(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What ranking needs to know of a turn without its text.

    Words lie in strings, parted by blanks: that decodes eight times as fast as lists, and a query reads
    hundreds of turns.
    """

    forms: str = ""
    """Content words, one for each distinct stem: its most frequent written form."""
    words: str = ""
    """Stems of all words in order, stop words included, with a blank at either end."""
    questions: bool = False
    """A question mark is somewhere in the turn."""
    ends_asking: bool = False
    first_person: bool = False
    second_person: int = 0
    """How often the other side is addressed (you, your)."""
    temporal: int = 0
    """How many words speak of time."""
    has_number: bool = False
    proper: tuple[str, ...] = ()
    """Distinct capitalised or quoted strings."""


def analyse(text: str, language: str | None = None) -> TurnFeatures:
    """The features of a turn, from its scrubbed text and its language (BCP 47) if known."""
    folded = fold(text)
    # Brackets hold placeholders and stage directions ("[EMAIL]", "[shares a photo]"): words, but not speech.
    spoken = _BRACKETED.sub(" ", folded)
    found = words(folded)[:MAX_WORDS]
    stemmed = [stem(word) for word in found]
    lists, begun = lists_for(language), spoken[:MAX_CHARACTERS]
    return TurnFeatures(
        forms=" ".join(_written_forms(found, stemmed)),
        words=f" {' '.join(stemmed)} " if stemmed else "",
        questions="?" in spoken,
        ends_asking=spoken.rstrip().endswith("?"),
        first_person=any(known.first_person.search(begun) for known in lists),
        second_person=sum(len(known.second_person.findall(begun)) for known in lists),
        temporal=sum(len(known.temporal.findall(begun)) for known in lists),
        has_number=any(known.number.search(begun) for known in lists),
        proper=tuple(dict.fromkeys(name for known in lists for name in known.proper.findall(begun))),
    )


def encode_features(features: TurnFeatures) -> bytes:
    """MessagePack, to be read by `decode_features` only."""
    return msgspec.msgpack.encode(features)


def decode_features(data: bytes | memoryview) -> TurnFeatures:
    """What `encode_features` was given; `msgspec.DecodeError` if it was something else."""
    return _decoder.decode(data)


def _written_forms(found: list[str], stemmed: list[str]) -> Iterable[str]:
    best: dict[str, str] = {}
    counts = Counter(found)
    for form, root in zip(found, stemmed, strict=True):
        if form not in STOP_WORDS and (root not in best or counts[form] > counts[best[root]]):
            best[root] = form
    return best.values()


_decoder = msgspec.msgpack.Decoder(TurnFeatures)
