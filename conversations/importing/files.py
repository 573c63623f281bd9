"""Finds the files of an import and reads their lines, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from conversations import manifests
from conversations.exceptions import Invalid
from conversations.importing.records import LineError, Origin

MAX_LINE = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line, and its offset in the file, where it can be read again."""

    origin: Origin
    body: bytes
    offset: int


def find_files(source: Path, suffixes: frozenset[str]) -> list[Path]:
    """The file itself, or the folder's files: in the manifest's order if there is one, else sorted by name.

    An export is verified against its manifest first: Invalid when it was altered.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise Invalid(detail=f"{source}: no file or folder to read.")
    if manifests.is_export(source):
        return manifests.verify(source)
    files = sorted(path for path in source.rglob("*") if path.suffix in suffixes and path.is_file())
    if not files:
        raise Invalid(detail=f"{source}: no file here ends in {', '.join(sorted(suffixes))}.")
    return files


def read_lines(path: Path, *, longest: int = MAX_LINE) -> Iterator[RawLine | LineError]:
    """The lines that are not blank, without BOM and line ends; a LineError for each that is too long."""
    with path.open("rb") as file:
        number = offset = 0
        while body := file.readline(longest + 1):
            number += 1
            origin = Origin(path.name, number)
            if len(body) > longest:
                offset += len(body) + _skip_rest(file, body)
                yield LineError(origin, "too_large", f"A line has at most {longest} bytes.")
                continue
            if stripped := _stripped(body):
                yield RawLine(origin, stripped, offset)
            offset += len(body)


def read_line_at(file: BinaryIO, origin: Origin, offset: int) -> RawLine:
    """The line at an offset that `read_lines` gave."""
    file.seek(offset)
    return RawLine(origin, _stripped(file.readline(MAX_LINE + 1)), offset)


def _stripped(body: bytes) -> bytes:
    return body.removeprefix(_BOM).strip()


def _skip_rest(file: BinaryIO, body: bytes) -> int:
    skipped = 0
    while body and not body.endswith(b"\n"):
        body = file.readline(MAX_LINE)
        skipped += len(body)
    return skipped
