"""The two files of a backup: an archive that `tar` and `zstd` can open, with a signed manifest at its end.

    tables/<table>/<number>.zst     rows in PostgreSQL's COPY text format, some megabytes of them
    manifest.json                   what there is, with digests, signed by the installation

A file appears under its name whole or not at all. Reading one verifies all of it before the first row is given out.
"""

import io
import os
import tarfile
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Literal
from uuid import UUID

import msgspec
import zstandard

from conversations.canonical import NotCanonical, canonical, parse_canonical
from conversations.durability import flush_folder
from conversations.exceptions import Conflict, Invalid
from conversations.signing import PublicKey, SigningKey, decode64

MANIFEST = "manifest.json"
CHUNK = 8 * 1024 * 1024  # bytes of rows, before compression
LARGEST_MANIFEST = 256 * 1024 * 1024
_LEVEL = 3

Kind = Literal["backup", "backup_keys"]


class Chunk(msgspec.Struct, frozen=True):
    name: str
    bytes: int
    sha256: str


class TableCopy(msgspec.Struct, frozen=True):
    """The rows of one table, in the order of these columns."""

    name: str
    columns: list[str]
    rows: int
    chunks: list[Chunk]


class LedgerMark(msgspec.Struct, frozen=True):
    """The length of the erasure ledger: a restore with less of it would bring erased people back."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds and what it takes to restore it. Both files of one backup have the same `id`."""

    object: Kind
    version: Literal[1] = 1
    id: UUID
    made_at: str
    migrations: list[str]
    masters: dict[str, str]  # the master keys that its keys are wrapped by: id and fingerprint
    signer: str  # fingerprint of the signing key
    ledger: LedgerMark
    tables: list[TableCopy]
    sequences: dict[str, int] = {}


class BackupWriter:
    """Writes tables one after the other; `finish` signs what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self.tables: list[TableCopy] = []

    def add_table(self, name: str, columns: list[str], data: Iterable[bytes | memoryview]) -> TableCopy:
        """Store the rows, which arrive in COPY text format in pieces of any size."""
        chunks: list[Chunk] = []
        rows = 0
        for piece in _in_chunks(data):
            rows += piece.count(b"\n")  # one ends each row, and every other is escaped
            chunks.append(self._add(f"tables/{name}/{len(chunks):06}.zst", self._compressor.compress(piece)))
        table = TableCopy(name, columns, rows, chunks)
        self.tables.append(table)
        return table

    def finish(self, manifest: Manifest, key: SigningKey) -> None:
        fields = msgspec.to_builtins(manifest)
        signature = b64encode(key.sign(canonical(fields))).decode()
        self._add(MANIFEST, canonical({**fields, "signature": signature}))
        self._tar.close()

    def _add(self, name: str, data: bytes) -> Chunk:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o600
        self._tar.addfile(entry, io.BytesIO(data))
        return Chunk(name, len(data), sha256(data).hexdigest())


@contextmanager
def writing(path: Path) -> Iterator[BackupWriter]:
    """A file that appears when the block ends well, on disk for good; Conflict when there is one of that name."""
    if path.exists():
        raise Conflict(f"{path} is there already; choose another name.")
    beside = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield BackupWriter(file)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
        flush_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


@dataclass(frozen=True)
class Backup:
    """A file that was verified as a whole."""

    path: Path
    manifest: Manifest

    def read(self, table: TableCopy) -> Iterator[bytes]:
        """The rows of a table; Invalid if they are not what was verified."""
        decompressor = zstandard.ZstdDecompressor()
        with _opened(self.path) as tar:
            for chunk in table.chunks:
                yield decompressor.decompress(_verified(self.path, tar, chunk))


def open_backup(path: Path, kind: Kind, key: PublicKey) -> Backup:
    """The backup in this file; Invalid when it is of another installation, of another kind, cut short or altered."""
    try:
        with _opened(path) as tar:
            manifest = _manifest(path, _member(path, tar, MANIFEST, LARGEST_MANIFEST), key)
            listed = {chunk.name for table in manifest.tables for chunk in table.chunks} | {MANIFEST}
            if strangers := {member.name for member in tar.getmembers()} - listed:
                raise Invalid(detail=f"{path}: {sorted(strangers)[0]} is not in its manifest.")
            for table in manifest.tables:
                for chunk in table.chunks:
                    _verified(path, tar, chunk)
    except FileNotFoundError:
        raise Invalid(detail=f"{path} is not there.") from None
    except (OSError, tarfile.TarError) as error:
        raise Invalid(
            detail=f"{path} cannot be read: it is not a backup, or is truncated ({error})."
        ) from error
    if manifest.object != kind:
        wanted = "the data" if kind == "backup" else "the keys"
        raise Invalid(detail=f"{path} is not the file with {wanted}: it holds the other half of a backup.")
    return Backup(path, manifest)


def _manifest(path: Path, data: bytes, key: PublicKey) -> Manifest:
    try:
        fields: dict[str, Any] = parse_canonical(data)
        signature = decode64(fields.pop("signature"))
        is_ours = key.has_signed(canonical(fields), signature)
        manifest = msgspec.convert(fields, Manifest)
    except (NotCanonical, KeyError, AttributeError, TypeError, ValueError) as error:
        raise Invalid(detail=f"{path}: its manifest cannot be read: the file was altered.") from error
    if manifest.signer != key.fingerprint:
        raise Invalid(
            detail=f"{path} was signed with the key {manifest.signer}; SIGNING_KEY here is {key.fingerprint}."
        )
    if not is_ours:
        raise Invalid(detail=f"{path}: the signature of its manifest is not valid: the file was altered.")
    return manifest


def _verified(path: Path, tar: tarfile.TarFile, chunk: Chunk) -> bytes:
    data = _member(path, tar, chunk.name, chunk.bytes)
    if len(data) != chunk.bytes or sha256(data).hexdigest() != chunk.sha256:
        raise Invalid(detail=f"{path}: {chunk.name} is not what the manifest says: the file was altered.")
    return data


def _member(path: Path, tar: tarfile.TarFile, name: str, largest: int) -> bytes:
    try:
        file = tar.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise Invalid(detail=f"{path}: {name} is missing: the file is not a backup, or is truncated.")
    return file.read(largest + 1)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    with tarfile.open(path, mode="r:") as tar:
        yield tar


def _in_chunks(data: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same bytes in pieces of about `CHUNK`; a row may go on in the next."""
    gathered = bytearray()
    for piece in data:
        gathered += piece
        if len(gathered) >= CHUNK:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def mark_of(ledger: Path) -> LedgerMark:
    """The whole lines of the erasure ledger as they are now."""
    data = ledger.read_bytes() if ledger.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    return LedgerMark(len(whole), sha256(whole).hexdigest())


def continues(ledger: Path, mark: LedgerMark) -> bool:
    """Whether the ledger has everything that the mark saw."""
    data = ledger.read_bytes() if ledger.exists() else b""
    return sha256(data[: mark.bytes]).hexdigest() == mark.sha256 and len(data) >= mark.bytes


def masters_missing(manifest: Manifest, present: Mapping[str, str]) -> list[str]:
    """The master keys, with fingerprints, that the manifest needs and that are not here."""
    return [
        f"{name} ({mark})" for name, mark in sorted(manifest.masters.items()) if present.get(name) != mark
    ]
