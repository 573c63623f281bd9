"""Scrubs JSON: metadata, tool results, attachments."""

from functools import partial
from typing import Any

from conversations.pii.engine import DEFAULT_REGION, scrub
from conversations.pii.placeholders import Tag, numbered

_SHORTEST_NUMBER = 7


def scrub_json(value: Any, *, region: str = DEFAULT_REGION, tag: Tag | None = None) -> Any:
    """A copy with all strings and keys scrubbed. A key is context for its value: `{"phone": 91234567}` is a phone."""
    return _scrubbed(value, "", region, tag or numbered())


def _scrubbed(value: Any, key: str, region: str, tag: Tag) -> Any:
    match value:
        case str():
            return scrub(value, region=region, tag=tag, context=key).text
        case bool() | None | float():
            return value
        case int():
            return _scrubbed_integer(value, key, region, tag)
        case dict():
            return {
                scrub(name, region=region, tag=tag).text: _scrubbed(item, name, region, tag)
                for name, item in value.items()
            }
        case list() | tuple():
            return list(map(partial(_scrubbed, key=key, region=region, tag=tag), value))
    return value


def _scrubbed_integer(value: int, key: str, region: str, tag: Tag) -> int | str:
    digits = str(value)
    if len(digits) < _SHORTEST_NUMBER:
        return value
    scrubbed = scrub(digits, region=region, tag=tag, context=key)
    return scrubbed.text if scrubbed.spans else value
