import re
from collections.abc import Iterator

from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_TOP = "(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,59})(?![A-Za-z0-9])"

# The local part is ASCII only, or it would include the Chinese words before it. It begins where a run of its
# characters begins, so that a long run is scanned once. An ideographic full stop is a dot only if there is no other.
_EMAIL = re.compile(
    rf"(?<![A-Za-z0-9._%+'-])(?P<local>[A-Za-z0-9_][A-Za-z0-9._%+'-]{{0,127}})(?:@|%40)"
    rf"(?P<domain>(?:{_LABEL}\.){{1,8}}{_TOP}|(?:{_LABEL}[.。]){{1,8}}{_TOP})"
)

_CHAT_DOMAINS = {"s.whatsapp.net", "c.us", "g.us"}
_SCALED_IMAGE = re.compile(r"[1-9]x\.[a-z]{3,4}")  # logo@2x.png


class Emails:
    def find(self, reading: Reading) -> Iterator[Span]:
        if "@" not in reading.text and "%40" not in reading.text:
            return
        for match in _EMAIL.finditer(reading.text):
            domain = match["domain"].replace("。", ".").lower()
            if domain not in _CHAT_DOMAINS and not _SCALED_IMAGE.fullmatch(domain):
                yield Span(Kind.EMAIL, match.start(), match.end(), f"{match['local'].lower()}@{domain}")
