"""Splits text into index terms, the same way for stored text and for queries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from py_rust_stemmers import SnowballStemmer

from conversations.analysis.languages import LIGHT_STOP_WORDS, STOP_WORDS

# Scripts written without spaces that Lucene's cjk_bigram also covers; the katakana middle dot is punctuation.
_CJK = (
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul
    "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u3040-\u309f\u30a0-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
)
# `\w` leaves combining marks out, which would cut Thai, Hindi or Arabic words at every vowel sign.
_MARKS = "".join(
    map(re.escape, (c for c in map(chr, range(0x300, 0x1E00)) if unicodedata.category(c)[0] == "M"))
)

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_RUN = re.compile(rf"[{_CJK}]+|(?:(?![{_CJK}])[^\W_][{_MARKS}]*)+")
_CJK_START = re.compile(rf"[{_CJK}]")
_ACCENTED = re.compile(r"([A-Za-z])[\u0300-\u036f]+")
# Latin letters and marks that do not decompose into an ASCII letter and an accent.
_SPELT_OUT = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH"}
    | dict(zip("øØłŁđĐðÐħĦı“”„‘’؟", 'oOlLdDdDhHi"""\'\'?', strict=True))
)
_stemmer = SnowballStemmer("english")


def fold(text: str) -> str:
    """Compatibility-normalised text (NFKC) with Latin letters and quotes in ASCII; case is kept."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFKC", _ACCENTED.sub(r"\1", decomposed)).translate(_SPELT_OUT)


def runs(text: str) -> list[str]:
    """Words of folded text in lower case; CJK characters stay together as they stand."""
    lowered = text.lower()
    return _ASCII_WORD.findall(lowered) if lowered.isascii() else _RUN.findall(lowered)


def words(text: str) -> list[str]:
    """Words of folded text in lower case; CJK as overlapping pairs of characters, a lone one by itself."""
    found = runs(text)
    return found if text.isascii() else [word for run in found for word in split_run(run)]


def split_run(run: str) -> list[str]:
    """A run's words: itself, or the overlapping pairs of a CJK run."""
    if not is_cjk(run):
        return [run]
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def is_cjk(run: str) -> bool:
    """Whether the run is written in characters that are indexed in pairs."""
    return _CJK_START.match(run) is not None


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Snowball's English stem; words in other scripts are their own stems."""
    return str(_stemmer.stem_word(word)) if word.isascii() else word


def stems(found: Iterable[str], without: frozenset[str] = STOP_WORDS) -> list[str]:
    """Stems of words, in order, duplicates kept."""
    return [stem(word) for word in found if word not in without]


def lexemes(text: str) -> list[str]:
    """Index terms in order, duplicates kept: English stems without stop words, pairs of CJK characters."""
    return stems(words(fold(text)))


def whole_lexemes(text: str) -> list[str]:
    """The same for session documents, dates and whole questions, where only the lightest words are left out."""
    return stems(words(fold(text)), without=LIGHT_STOP_WORDS)


def located(text: str) -> Iterator[tuple[int, int, str]]:
    """Each index term of the text as written, with its offsets there; CJK pairs overlap."""
    if text.isascii():
        for match in _ASCII_WORD.finditer(text.lower()):
            yield match.start(), match.end(), stem(match.group())
        return
    for match in _RUN.finditer(text):
        start, written = match.span()[0], match.group()
        folded = fold(written).lower()
        if is_cjk(folded) and len(folded) == len(written) > 1:
            for i in range(len(folded) - 1):
                yield start + i, start + i + 2, folded[i : i + 2]
        else:
            for word in words(folded):
                yield start, match.end(), stem(word)
