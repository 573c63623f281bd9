"""What makes a record the same record when it is read again, so that nothing is stored twice."""

from hashlib import blake2b

from conversations.importing.files import RawLine

_SIZE = 16


def identity(kind: str, *parts: str) -> bytes:
    """A digest of what names the record: its kind, its owner over there and its id over there."""
    return blake2b("\0".join((kind, *parts)).encode(), digest_size=_SIZE).digest()


def identity_of_line(kind: str, line: RawLine) -> bytes:
    """For a record without an id: the words of its line and their place, because people do repeat themselves."""
    digest = blake2b(line.body, digest_size=_SIZE, person=kind.encode()[:16])
    digest.update(line.origin.line.to_bytes(8))
    return digest.digest()
