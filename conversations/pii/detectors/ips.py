import re
from collections.abc import Iterator
from ipaddress import IPv6Address
from socket import AF_INET6, inet_ntop, inet_pton

from conversations.pii.cues import Cue
from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = re.compile(
    rf"[0-9](?:(?<![0-9A-Za-z.。:].)|(?<=[Ii][Pp].))[0-9]{{0,2}}[.。]{_BYTE}[.。]{_BYTE}[.。]{_BYTE}(?![0-9A-Za-z]|[.。][0-9])",
    re.DOTALL,
)
_V6 = re.compile(
    r"[0-9A-Fa-f:](?<![0-9A-Za-z:.].)[0-9A-Fa-f:]{1,38}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![0-9A-Za-z:]|\.[0-9])",
    re.DOTALL,
)


_LIKELY_V6 = re.compile(r"(?=.*[0-9])(?:[0-9A-Fa-f]{3}|^::1$|:.*:.*:.*:)")


class Ips:
    """IPv4 and IPv6 addresses, except four numbers after a word such as "version"."""

    def find(self, reading: Reading) -> Iterator[Span]:
        if reading.text.count(".") + reading.text.count("。") >= 3:
            yield from _v4_addresses(reading)
        if reading.text.count(":") >= 2:
            yield from _v6_addresses(reading)


def _v4_addresses(reading: Reading) -> Iterator[Span]:
    for match in _V4.finditer(reading.text):
        address = match[0].replace("。", ".")
        if int(address.partition(".")[0]) < 256 and not _is_version(reading, match.start()):
            yield Span(Kind.IP, match.start(), match.end(), address)


def _v6_addresses(reading: Reading) -> Iterator[Span]:
    for match in _V6.finditer(reading.text):
        written = match[0]
        if written.count(":") < 2 or not _LIKELY_V6.search(written):
            continue  # a time of day, a slice `[1::2]`, a name such as "ace::ad"
        if address := compressed_v6(written):
            yield Span(Kind.IP, match.start(), match.end(), address)


def compressed_v6(written: str) -> str | None:
    """The compressed form, as `ipaddress` has it; None if this is no address."""
    try:
        packed = inet_pton(AF_INET6, written)
    except OSError:
        return None
    # inet_ntop is several times as fast, but writes some addresses with dots.
    short = inet_ntop(AF_INET6, packed)
    return IPv6Address(packed).compressed if "." in short else short


def _is_version(reading: Reading, start: int) -> bool:
    return reading.cues.names(start) is Cue.VERSION
