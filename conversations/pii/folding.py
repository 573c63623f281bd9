"""Folds look-alikes to ASCII: full-width, circled and mathematical characters, other scripts' digits, dashes.

NFKC character by character, so that every folded character comes from one original and offsets can be traced back.
Only what folds to ASCII is folded, since detectors look for nothing else. What has no width of its own (joiners,
direction marks, combining marks) is left out: it would hide a number.
"""

import re
import unicodedata
from collections.abc import Iterator

# Where such characters are. Ideographs and Hangul, most of Unicode, are not among them.
_BLOCKS = (range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xF900, 0x20000), range(0xE0000, 0xE0200))
_INVISIBLE = {"Mn", "Me", "Cf"}
_ASTRAL = "\U00010000"
_MINUS = "\u2212"
_IDEOGRAPHIC_STOP = "\u3002"


def fold(text: str) -> str:
    """The text as detectors read it; the text itself if there is nothing to fold."""
    return text if text.isascii() else _FOLDABLE.sub(_fold_run, text)


def origins(text: str) -> list[int]:
    """For each character of `fold(text)` the index of the original it comes from, and the length at the end."""
    indices = [index for index, character in enumerate(text) for _ in _FOLDED.get(character, character)]
    indices.append(len(text))
    return indices


def moves(text: str) -> bool:
    """Whether folding changes the number of characters, so that offsets move."""
    return not _UNEVEN.isdisjoint(text)


def fold_character(character: str) -> str:
    folded = "".join(map(_plain, unicodedata.normalize("NFKC", character)))
    return folded if folded.isascii() or folded == _IDEOGRAPHIC_STOP else character


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category in _INVISIBLE:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Pd" or character == _MINUS:
        return "-"
    return character


def _folding_pairs() -> Iterator[tuple[str, str]]:
    for character in map(chr, (code for block in _BLOCKS for code in block)):
        folded = fold_character(character)
        if folded != character:
            yield character, folded


_FOLDED = dict(_folding_pairs())
_TABLE = str.maketrans(_FOLDED)
# Whole blocks beyond the basic plane: the regex engine tests ranges there one by one.
_FOLDABLE = re.compile(
    f"[{''.join(re.escape(one) for one in _FOLDED if one < _ASTRAL)}{_ASTRAL}-\U0001ffff\U000e0000-\U000e01ff]+"
)
_UNEVEN = frozenset(one for one, folded in _FOLDED.items() if len(folded) != 1)


def _fold_run(run: re.Match[str]) -> str:
    return run[0].translate(_TABLE)
