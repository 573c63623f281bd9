"""A parsed query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from conversations.analysis.languages import STOP_WORDS, WordLists, lists_for
from conversations.analysis.tokens import fold, is_cjk, runs, stem, whole_lexemes, words
from conversations.ranking.dates import months_named


@dataclass(frozen=True)
class Question:
    """A query text without the speakers' names and stop words, and what kind of answer it wants."""

    text: str
    stems: tuple[str, ...]
    """Distinct content stems without speaker names, in order: what the lexical engine is asked for."""
    forms: tuple[str, ...]
    """The written form of each of `stems`."""
    whole_stems: tuple[str, ...]
    """Distinct stems with names and dates kept: what session documents are asked for."""
    date_stems: tuple[str, ...]
    """`stems`, and the months named in Chinese: what dates are asked for."""
    pairs: frozenset[tuple[str, str]]
    """Neighbouring stems, stop words and names included."""
    stripped: str
    """Words without names and stop words, as written: to embed, and for engines that analyse text."""
    speaker: str | None = None
    """The one speaker whom the question names."""
    speakers: frozenset[str] = frozenset()
    """All speakers of the conversations searched."""
    asks_when: bool = False
    asks_how_many: bool = False
    asks_for_name: bool = False

    @classmethod
    def parse(cls, text: str, *, names: Iterable[str] = (), language: str | None = None) -> Question:
        """Read `text`; `names` are the speakers of the conversations searched.

        A question of nothing but names and stop words keeps its stop words, and failing those its names.
        """
        folded = fold(text)
        speakers = {name: pattern for name in dict.fromkeys(names) if (pattern := _mentions(name))}
        named = [name for name, pattern in speakers.items() if pattern.search(folded)]
        nameless = folded
        for name in named:
            nameless = speakers[name].sub(" ", nameless)
        forms = _content_forms(nameless) or _content_forms(folded)
        spoken = [stem(word) for word in words(folded)]
        lists = lists_for(language)
        return cls(
            text=text,
            stems=tuple(forms),
            forms=tuple(forms.values()),
            whole_stems=tuple(dict.fromkeys(whole_lexemes(text))) or tuple(forms),
            date_stems=tuple(dict.fromkeys([*forms, *whole_lexemes(" ".join(months_named(folded)))])),
            pairs=frozenset(pairwise(spoken)),
            stripped=" ".join(run for run in runs(nameless) if run not in STOP_WORDS) or text,
            speaker=named[0] if len(named) == 1 else None,
            speakers=frozenset(speakers),
            asks_when=_any_match(lists, "asks_when", folded),
            asks_how_many=_any_match(lists, "asks_how_many", folded),
            asks_for_name=_any_match(lists, "asks_for_name", folded),
        )


def _content_forms(text: str) -> dict[str, str]:
    """Stem -> the form last written."""
    found = words(text)
    content = [word for word in found if word not in STOP_WORDS] or found
    return {stem(word): word for word in content}


def _any_match(lists: Sequence[WordLists], kind: str, text: str) -> bool:
    return any(getattr(known, kind).search(text) for known in lists)


@lru_cache(maxsize=1024)
def _mentions(name: str) -> re.Pattern[str] | None:
    """Finds the name or one of its words; its short forms (Mel, Caro) only where written with a capital.

    Short forms are the first three or four letters: in small letters they are often words themselves (car).
    """
    folded = fold(name).strip()
    parts = runs(folded)
    whole = {folded.lower(), *parts} if parts else set()
    # "user" and "agent" are speakers too, but have no pet names.
    lengths = (3, 4) if folded[:1].isupper() else ()
    short = {part[:n].capitalize() for part in parts for n in lengths if not is_cjk(part) and len(part) > n}
    patterns = [_whole(alias, any_case=True) for alias in sorted(whole, key=len, reverse=True)]
    patterns += [_whole(alias, any_case=False) for alias in sorted(short, key=len, reverse=True)]
    usable = [pattern for pattern in patterns if pattern]
    return re.compile("|".join(usable), re.ASCII) if usable else None


def _whole(alias: str, *, any_case: bool) -> str:
    """A pattern for the alias as a whole word; none for what is too short or common to be a name in a text."""
    if is_cjk(alias):
        return re.escape(alias) if len(alias) > 1 else ""
    if len(alias) < 3 or alias.lower() in STOP_WORDS:
        return ""
    return rf"(?i:\b{re.escape(alias)}\b)" if any_case else rf"\b{re.escape(alias)}\b"
