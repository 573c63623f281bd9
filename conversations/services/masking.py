"""Values as staff see them without giving a reason: scrubbed, with hidden and direction characters made visible."""

from typing import Any
from uuid import UUID

from django.conf import settings

from conversations.pii import scrub_json
from conversations.services.messages.contents import Scrubber
from conversations.transcripts.visible import visible


class Masker:
    """Masks what one tenant has stored in clear: names, intents, metadata, results of agents, external ids."""

    def __init__(self, tenant_id: UUID) -> None:
        self._scrubber = Scrubber(tenant_id)

    def text(self, text: str | None) -> str:
        return visible(self._scrubber(text).text) if text else ""

    def value(self, value: Any) -> Any:
        """A copy of a JSON value with every text in it scrubbed."""
        return scrub_json(value, region=settings.PII_REGION, tag=self._tag)

    def _tag(self, kind: str, normalised: str) -> str:
        return self._scrubber.digest(kind, normalised)[:3].hex()
