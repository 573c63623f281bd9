"""What stands in the text instead of the value."""

from collections import Counter
from collections.abc import Callable

Tag = Callable[[str, str], str]
"""(kind, normalised value) -> what tells this value from others of its kind, in letters, digits and underscores.

A keyed digest makes a value keep its placeholder from message to message, and no state has to be read for that. Four
hexadecimal digits are enough to tell the values of a conversation apart and too few to confirm a guess.
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
