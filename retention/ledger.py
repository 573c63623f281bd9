"""The erasure ledger: one signed line for each case, outside the database, so that no restore undoes an erasure.

A line holds ids and never names. A torn last line (from a crash while writing) is ignored; any other that
was not signed by this installation is refused.
"""

import fcntl
import os
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal
from uuid import UUID

import msgspec

from conversations.canonical import NotCanonical, canonical, parse_canonical
from conversations.signing import PublicKey, SigningKey, decode64

_CHUNK = 64 * 1024


class LedgerBroken(ValueError):
    """A line of the ledger was altered, or is of another installation."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be erased, and when that was decided."""

    object: Literal["erasure"] = "erasure"
    case: UUID
    tenant: UUID
    at: str
    basis: str
    customer_id: UUID | None = None
    session_id: UUID | None = None
    message_ids: list[UUID] = []


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    entry: Entry


def append(path: Path, entry: Entry, key: SigningKey) -> None:
    """Add the line; on disk for good when this returns."""
    fields = msgspec.to_builtins(entry)
    signature = b64encode(key.sign(canonical(fields))).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with open(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(_end_of_last_line(file))
        file.truncate()
        file.write(canonical({**fields, "signature": signature}) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, key: PublicKey) -> Iterator[Line]:
    """The lines in order, each case once; LedgerBroken names the first that this installation did not write."""
    if not path.exists():
        return
    seen: set[UUID] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # torn: the erasure in it was never acknowledged
            if not line.strip():
                continue
            entry = _parse(line.rstrip(b"\n"), key, number)
            if entry is not None and entry.case not in seen:
                seen.add(entry.case)
                yield Line(number, entry)


def _parse(line: bytes, key: PublicKey, number: int) -> Entry | None:
    try:
        fields: dict[str, Any] = parse_canonical(line)
        signature = decode64(fields.pop("signature"))
        if not key.has_signed(canonical(fields), signature):
            raise LedgerBroken(f"Line {number} of the ledger was not signed by this installation.")
        return msgspec.convert(fields, Entry)
    except (NotCanonical, KeyError, AttributeError, TypeError, ValueError) as error:
        raise LedgerBroken(f"Line {number} of the ledger cannot be read.") from error


def _end_of_last_line(file: BinaryIO) -> int:
    """Where the next line begins: what follows the last line feed was never finished."""
    position = file.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _CHUNK)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0
