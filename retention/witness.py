"""The witness: every checkpoint of a tenant's audit trail, outside the database, in a file that only grows.

One line for each, JSON with a signed note. The owner of the database could recompute the whole tree; only this file
shows that it differs from what was once signed. Keep the folder on another volume.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from conversations.checkpoints import Checkpoint, InvalidCheckpoint
from conversations.durability import flush_folder
from conversations.signing import PublicKey, SigningKey

_LAST = 64 * 1024  # bytes that hold the last line, and more


class _Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """`signed` is a checkpoint. `restored` says from where a tree went on after its database came from a backup."""

    at: datetime
    signed: str | None = None
    restored: str | None = None


@dataclass(frozen=True)
class Sightings:
    """What the witness has seen of one trail: the root at each size, and the lines that prove nothing."""

    roots: Mapping[int, bytes] = field(default_factory=dict)
    broken: tuple[int | None, ...] = ()  # the size that such a line claims, if any
    is_there: bool = False


@dataclass(frozen=True)
class Witness:
    """The file of one tenant. `origin` is that of its checkpoints."""

    folder: Path
    tenant_id: UUID
    origin: str

    @property
    def file(self) -> Path:
        return self.folder / f"{self.tenant_id}.jsonl"

    def read(self, key: PublicKey) -> Sightings:
        """Everything it has seen, as far as signatures hold."""
        if not self.file.exists():
            return Sightings()
        roots: dict[int, bytes] = {}
        broken: list[int | None] = []
        for line in _lines(self.file.read_bytes()):
            note = self._verified(line, key)
            if note is None:
                broken.append(_claimed_size(line))
            elif note.origin != self.origin:
                roots = {size: root for size, root in roots.items() if size <= note.size}
            elif roots.setdefault(note.size, note.root) != note.root:
                broken.append(note.size)
        return Sightings(roots, tuple(broken), is_there=True)

    def catch_up(self, fetch: Callable[[int], Iterable[tuple[datetime, str]]]) -> int:
        """Append what `fetch(size)` gives beyond the size seen last, on disk when this returns; that size."""
        with self._open() as (descriptor, last):
            lines = [_Line(at, signed=note) for at, note in fetch(last)]
            _append(descriptor, lines)
            return max(last, *(_size_of(line) for line in lines)) if lines else last

    def note_restore(self, size: int, root: bytes, key: SigningKey, at: datetime) -> None:
        """Record that the trail continues from this size: what was seen beyond it is gone with the old database."""
        with self._open() as (descriptor, last):
            if last > size:
                note = Checkpoint(self._restored, size, root).signed_by(key)
                _append(descriptor, [_Line(at, restored=note)])

    @property
    def _restored(self) -> str:
        return f"{self.origin}/restored"

    def _verified(self, line: bytes, key: PublicKey) -> Checkpoint | None:
        try:
            decoded = _decode(line)
            note = Checkpoint.verified(decoded.signed or decoded.restored or "", key)
        except (msgspec.MsgspecError, InvalidCheckpoint):
            return None
        return note if note.origin == (self.origin if decoded.signed else self._restored) else None

    @contextmanager
    def _open(self) -> Iterator[tuple[int, int]]:
        """The file, locked, and the size seen last."""
        is_new = not self.file.exists()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor, _last_size(descriptor)
            if is_new:
                flush_folder(self.folder)
        finally:
            os.close(descriptor)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


def _append(descriptor: int, lines: Iterable[_Line]) -> None:
    data = b"".join(_encode(line) + b"\n" for line in lines)
    if not data:
        return
    end = os.lseek(descriptor, 0, os.SEEK_END)
    if end and os.pread(descriptor, 1, end - 1) != b"\n":
        data = b"\n" + data  # the previous line is torn; it is left as it is
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def _last_size(descriptor: int) -> int:
    end = os.lseek(descriptor, 0, os.SEEK_END)
    tail = os.pread(descriptor, _LAST, max(0, end - _LAST))
    for line in reversed(tail.split(b"\n")):
        if (size := _claimed_size(line)) is not None:
            return size
    return 0


def _lines(data: bytes) -> Iterator[bytes]:
    """Whole lines. A torn one counts as not written where the next begins with it, or where it is the last."""
    lines = [line for line in data.split(b"\n") if line]
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else line
        if _claimed_size(line) is not None or not following.startswith(line):
            yield line


def _claimed_size(line: bytes) -> int | None:
    try:
        return _size_of(_decode(line))
    except (msgspec.MsgspecError, InvalidCheckpoint):
        return None


def _size_of(line: _Line) -> int:
    text, _, _ = (line.signed or line.restored or "").partition("\n\n")
    return Checkpoint.parse(text + "\n").size
