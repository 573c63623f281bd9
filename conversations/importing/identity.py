"""Identities of records: the same whenever a record is read again, so that nothing is stored twice."""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TypeGuard

from conversations.importing.files import RawLine

_SIZE = 16
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def identity(kind: str, *parts: str) -> bytes:
    """A digest of what names the record: its kind, and in the source its owner and its id."""
    return blake2b("\0".join((kind, *parts)).encode(), digest_size=_SIZE).digest()


def message_identity(source_id: str) -> bytes:
    """Of a message that another record refers to, by a globally unique id."""
    return identity("message", source_id)


@lru_cache(10_000)  # each message names its session
def session_identity(name: str) -> bytes:
    """Of a session as messages name it."""
    return identity("session", name)


def is_uuid(text: str | None) -> TypeGuard[str]:
    return text is not None and _UUID.fullmatch(text) is not None


def identity_of_line(kind: str, line: RawLine) -> bytes:
    """For a record without an id: the line and its number, because people do repeat themselves."""
    digest = blake2b(line.body, digest_size=_SIZE, person=kind.encode()[:16])
    digest.update(line.origin.line.to_bytes(8))
    return digest.digest()
