"""Names that statistics group by. They are copied to the mirrors and may be written by anybody, hence scrubbed."""

from functools import lru_cache

from django.conf import settings

from conversations.pii import scrub

LONGEST = 200


@lru_cache(maxsize=4_096)
def label(name: object) -> str | None:
    """The name as statistics show it, scrubbed; None for what is no name: no text, empty, or longer than 200."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST:
        return None
    return scrub(name, region=settings.PII_REGION, tag=_of_its_kind).text


def _of_its_kind(kind: str, normalised: str) -> str:
    """One placeholder for each kind: statistics do not tell people apart."""
    return "any"
