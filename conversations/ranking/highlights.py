"""Fragments of a hit with the matched words marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from conversations.analysis.tokens import located
from conversations.ranking.question import Question

_SNAP = 12
"""How far a cut may move, in characters, so as not to split a word."""


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    stem: str


def highlight(text: str, question: Question, *, limit: int = 3, length: int = 160) -> list[str]:
    """At most `limit` fragments of some `length` characters: HTML, matches in `<em>`, others escaped.

    The fragments with the most different question words are chosen and given in the order of the text; none
    if no word matches.
    """
    wanted = set(question.stems)
    matches = [_Match(start, end, stem) for start, end, stem in located(text) if stem in wanted]
    groups = sorted(_groups(matches, length), key=lambda group: -len({match.stem for match in group}))[:limit]
    return [_fragment(text, group, length) for group in sorted(groups, key=lambda group: group[0].start)]


def _groups(matches: Sequence[_Match], length: int) -> Iterator[list[_Match]]:
    """Matches in order, cut wherever one no longer fits into the fragment begun."""
    group: list[_Match] = []
    for match in matches:
        if group and match.end - group[0].start > length:
            yield group
            group = []
        group.append(match)
    if group:
        yield group


def _fragment(text: str, group: Sequence[_Match], length: int) -> str:
    first, last = group[0].start, max(match.end for match in group)
    spare = max(length - (last - first), 0)
    start = _word_start(text, max(0, first - spare // 2), first)
    end = _word_end(text, min(len(text), start + max(length, last - start)), last)
    return ("…" if start else "") + _marked(text, start, end, group) + ("…" if end < len(text) else "")


def _marked(text: str, start: int, end: int, group: Sequence[_Match]) -> str:
    pieces, done = [], start
    for opening, closing in _joined(group):
        pieces += [escape(text[done:opening]), "<em>", escape(text[opening:closing]), "</em>"]
        done = closing
    return "".join([*pieces, escape(text[done:end])])


def _joined(group: Sequence[_Match]) -> list[tuple[int, int]]:
    """Spans of the matches; overlapping and touching ones (pairs of CJK characters) become one."""
    spans: list[tuple[int, int]] = []
    for match in group:
        if spans and match.start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], match.end))
        else:
            spans.append((match.start, match.end))
    return spans


def _word_start(text: str, cut: int, latest: int) -> int:
    """`cut`, or the beginning of the next word near it, never after `latest`."""
    if cut == 0 or text[cut - 1].isspace():
        return cut
    return next((i + 1 for i in range(cut, min(cut + _SNAP, latest)) if text[i].isspace()), cut)


def _word_end(text: str, cut: int, earliest: int) -> int:
    """`cut`, or the end of the word before it, never before `earliest`."""
    if cut == len(text) or text[cut].isspace():
        return cut
    return next((i for i in range(cut - 1, max(cut - _SNAP, earliest) - 1, -1) if text[i].isspace()), cut)
