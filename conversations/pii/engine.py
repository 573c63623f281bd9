"""Scrubbing: finds personal data and replaces it with placeholders."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat

from conversations.pii.detectors import DETECTORS
from conversations.pii.placeholders import Tag, numbered, placeholder
from conversations.pii.reading import NUMBER, Reading
from conversations.pii.values import Detector, Kind, Span

DEFAULT_REGION = "SG"

_STRENGTH: dict[str, int] = {kind: rank for rank, kind in enumerate(Kind)}
_WEAKEST = len(_STRENGTH)


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A text without personal data, and the spans of the original that were replaced, in ascending order."""

    text: str
    spans: tuple[Span, ...]


def scrub(
    text: str,
    *,
    region: str = DEFAULT_REGION,
    tag: Tag | None = None,
    context: str = "",
    detectors: Sequence[Detector] = DETECTORS,
) -> Scrubbed:
    """The text with a placeholder such as `[EMAIL_7f3a]` for each span; offsets are those of the original.

    `region` is the country whose numbers are written without country code. `tag` names a value within its kind, the
    same one each time; without it values are numbered. `context` is what the text stands under, as the key of a field.
    """
    spans = find(text, region=region, context=context, detectors=detectors)
    if not spans:
        return Scrubbed(text, ())
    tag = tag or numbered()
    pieces: list[str] = []
    shown: dict[tuple[str, str], str] = {}
    position = 0
    for span in spans:
        value = (span.kind, span.value_normalised)
        if value not in shown:
            shown[value] = placeholder(span.kind, tag(*value))
        pieces += text[position : span.start], shown[value]
        position = span.end
    pieces.append(text[position:])
    return Scrubbed("".join(pieces), spans)


def find(
    text: str, *, region: str = DEFAULT_REGION, context: str = "", detectors: Sequence[Detector] = DETECTORS
) -> tuple[Span, ...]:
    """The spans that `scrub` would replace: in order, without overlaps."""
    prefix = f"{context}: " if context else ""
    reading = Reading(prefix + text, region=region)
    kept = _find_all(reading, detectors)
    if not prefix and not reading.has_moved:
        return tuple(kept)
    traced = (_traced(span, reading, len(prefix)) for span in kept)
    return tuple(span for span in traced if span.end > 0)


def _find_all(reading: Reading, detectors: Sequence[Detector]) -> list[Span]:
    """Two passes: `5123 4567` may be a number only once the one that follows it has been blanked."""
    found = [span for detector in detectors for span in detector.find(reading)]
    if not found:
        return found
    kept = _strongest(found)
    starts, ends = [0, *(span.end for span in kept)], [*(span.start for span in kept), len(reading.text)]
    if not any(map(NUMBER.search, repeat(reading.text), starts, ends)):
        return kept
    rest = Reading(_blanked(reading.text, kept), region=reading.region, again=reading)
    return _strongest(kept + [span for detector in detectors for span in detector.find(rest)])


def _blanked(text: str, spans: list[Span]) -> str:
    """The text with the first character of a placeholder repeated over each span."""
    pieces: list[str] = []
    position = 0
    for span in spans:
        pieces += text[position : span.start], "[" * (span.end - span.start)
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)


def _traced(span: Span, reading: Reading, shift: int) -> Span:
    start, end = reading.trace(span.start, span.end)
    start, end = max(0, start - shift), end - shift
    return (
        span if (start, end) == (span.start, span.end) else Span(span.kind, start, end, span.value_normalised)
    )


def _strongest(found: list[Span]) -> list[Span]:
    """Of overlapping spans, keep the stronger kind, then the longer, then the first."""
    found.sort(key=lambda span: (span.start, span.end))
    if all(left.end <= right.start for left, right in pairwise(found)):
        return found
    kept: list[Span] = []
    starts: list[int] = []
    for span in sorted(found, key=lambda span: (_STRENGTH.get(span.kind, _WEAKEST), span.start - span.end)):
        index = bisect_left(starts, span.end)
        if index == 0 or kept[index - 1].end <= span.start:
            kept.insert(index, span)
            starts.insert(index, span.start)
    return kept
