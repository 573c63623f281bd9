"""In an export for one person, the personal data of others is replaced; their own stays."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.conf import settings

from conversations.pii import find, normalise_identifier, numbered
from conversations.pii.placeholders import placeholder

Identifier = tuple[str, str]  # kind, normalised value

# Our own ids, timestamps and codes: long digits in them are nobody's number.
_NOT_TEXT = frozenset(
    {"id", "object", "role", "kind", "status", "session_id", "customer_id", "message_id", "profile"}
)


def identifiers_in(value: Any) -> set[Identifier]:
    """Every identifier that a JSON value mentions."""
    return {
        (span.kind, span.value_normalised)
        for text, context in _texts(value, "")
        for span in find(text, region=settings.PII_REGION, context=context)
    }


def identifiers_given(texts: Iterable[str]) -> set[Identifier]:
    """What somebody typed, in all the forms in which it may be written."""
    return {one for text in texts for one in normalise_identifier(None, text, region=settings.PII_REGION)}


class Mask:
    """Replaces every identifier but those of `own`; the same value by the same placeholder."""

    def __init__(self, own: Collection[Identifier]) -> None:
        self._own = frozenset(own)
        self._tag = numbered()

    def __call__(self, value: Any, key: str = "") -> Any:
        match value:
            case str() if key not in _NOT_TEXT and not key.endswith("_at"):
                return self._text(value, key)
            case dict():
                return {self._text(name, ""): self(item, name) for name, item in value.items()}
            case list():
                return [self(item, key) for item in value]
            case int() if not isinstance(value, bool) and abs(value) >= 1_000_000:
                masked = self._text(str(value), key)
                return value if masked == str(value) else masked
        return value

    def _text(self, text: str, context: str) -> str:
        pieces, position = [], 0
        for span in find(text, region=settings.PII_REGION, context=context):
            if (span.kind, span.value_normalised) not in self._own:
                shown = placeholder(span.kind, self._tag(span.kind, span.value_normalised))
                pieces += [text[position : span.start], shown]
                position = span.end
        return "".join([*pieces, text[position:]])


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield value, key
        case dict():
            for name, item in value.items():
                yield from _texts(item, name)
        case list():
            for item in value:
                yield from _texts(item, key)
