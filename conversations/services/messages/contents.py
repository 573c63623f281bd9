"""The content of messages: the original to be sealed, and scrubbed text for everything else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings

from conversations import crypto, keyring
from conversations.enums import KeyOwner
from conversations.inputs import Attachment, TextPart
from conversations.pii import Scrubbed, scrub

Content = str | list[dict[str, str]]
TABLE = "conversations_message"


@dataclass(frozen=True)
class Prepared:
    """A content ready to be stored."""

    plaintext: bytes  # msgpack [content, attachments], yet to be sealed
    scrubbed: str
    scrubbed_attachments: str
    pii: list[dict[str, Any]]
    identifiers: list[bytes]


class Scrubber:
    """Scrubs the texts of one tenant; the same value gets the same placeholder everywhere in it."""

    def __init__(self, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id
        self._hash: Callable[[str, str], bytes] | None = None

    def __call__(self, text: str) -> Scrubbed:
        return scrub(text, region=settings.PII_REGION, tag=self._tag)

    def digest(self, kind: str, normalised: str) -> bytes:
        """The keyed hash by which the person behind an identifier can be found."""
        return (self._hash or self.load())(f"identifier:{kind}", normalised)

    def load(self) -> Callable[[str, str], bytes]:
        """Look the key up, inside a tenant scope; afterwards none is needed, and any thread may scrub."""
        self._hash = keyring.hasher(self._tenant_id)
        return self._hash

    def _tag(self, kind: str, normalised: str) -> str:
        return self.digest(kind, normalised)[:3].hex()


def keyed_identifier(tenant_id: UUID, kind: str, normalised: str) -> bytes:
    return keyring.keyed_hash(tenant_id, f"identifier:{kind}", normalised)


def prepare(
    content: str | list[TextPart], attachments: Sequence[Attachment] | None, scrubber: Scrubber
) -> Prepared:
    """Scrub every text of a message and pack the original."""
    is_parts = not isinstance(content, str)
    texts = [part.text for part in content] if not isinstance(content, str) else [content]
    results = [scrubber(text) for text in texts]
    extra = [scrubber(text) for attachment in attachments or () for text in _texts_of(attachment)]
    pii = [
        {"type": span.kind, "start": span.start, "end": span.end, **({"part": number} if is_parts else {})}
        for number, result in enumerate(results)
        for span in result.spans
    ]
    identifiers = {
        scrubber.digest(span.kind, span.value_normalised) for r in (*results, *extra) for span in r.spans
    }
    return Prepared(
        plaintext=msgspec.msgpack.encode([content, attachments or None]),
        scrubbed="\n".join(result.text for result in results),
        scrubbed_attachments="\n".join(result.text for result in extra),
        pii=pii,
        identifiers=sorted(identifiers),
    )


def key_owner(customer_id: UUID | None, session_id: UUID) -> tuple[KeyOwner, UUID]:
    """Whose key seals a session's content: the customer's, or the session's own while it has no customer."""
    return (KeyOwner.CUSTOMER, customer_id) if customer_id else (KeyOwner.SESSION, session_id)


def message_aad(tenant_id: UUID, message_id: UUID) -> bytes:
    return crypto.row_aad(tenant_id, TABLE, "sealed", message_id)


def unseal_messages(
    tenant_id: UUID, items: Sequence[tuple[UUID, bytes]]
) -> list[tuple[Content, list[Any] | None]]:
    """(content, attachments) of (message id, sealed) pairs, in order."""
    opened = keyring.unseal_many(
        tenant_id, [(bytes(sealed), message_aad(tenant_id, i)) for i, sealed in items]
    )
    return [(content, attachments) for content, attachments in map(msgspec.msgpack.decode, opened)]


def plain_text(content: Content) -> str:
    """The text of a content, its parts joined by line feeds."""
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _texts_of(attachment: Attachment) -> list[str]:
    return [*([attachment.text] if attachment.text else []), *_strings(attachment.data)]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []
