import re
from collections.abc import Iterator

from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

_ADDRESS = re.compile(
    r"(?<![0-9])(?P<number>[0-9]{7,15})(?::[0-9]{1,3})?@(?:s\.whatsapp\.net|c\.us)(?![A-Za-z0-9])"
)
_LINK = re.compile(
    r"(?<![A-Za-z0-9])(?:wa\.me/|api\.whatsapp\.com/send/?\?phone=|whatsapp://send/?\?phone=)"
    r"(?:\+|%2[Bb])?(?P<number>[0-9]{7,15})(?![0-9])"
)


class WhatsAppIds:
    """WhatsApp addresses and links: phone numbers with country code, but without plus."""

    def find(self, reading: Reading) -> Iterator[Span]:
        text = reading.text
        if "@s.whatsapp.net" in text or "@c.us" in text:
            for match in _ADDRESS.finditer(text):
                yield Span(Kind.PHONE, match.start(), match.end(), f"+{match['number']}")
        if "wa.me/" in text or "phone=" in text:
            for match in _LINK.finditer(text):
                yield Span(Kind.PHONE, match.start("number"), match.end("number"), f"+{match['number']}")
