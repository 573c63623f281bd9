"""The placeholders that replace values."""

from collections import Counter
from collections.abc import Callable

Tag = Callable[[str, str], str]
"""(kind, normalised value) -> a label that distinguishes values of one kind: letters, digits and underscores.

A keyed digest gives a value the same placeholder in every message without any state. Four hexadecimal digits are
enough to tell the values of a conversation apart, and too few to confirm a guess.
"""


def placeholder(kind: str, tag: str) -> str:
    return f"[{kind.upper()}_{tag}]"


def numbered() -> Tag:
    """1, 2, 3 in order of appearance, per kind. For one text at a time."""
    seen: dict[tuple[str, str], str] = {}
    counts: Counter[str] = Counter()

    def tag(kind: str, value: str) -> str:
        if (kind, value) not in seen:
            counts[kind] += 1
            seen[kind, value] = str(counts[kind])
        return seen[kind, value]

    return tag
