"""Writes the files of an export: JSON Lines that `import_conversations` reads, and the manifest with their digests.

The folder appears whole or not at all: everything is written beside its final name and renamed at the end.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from conversations import strict_json
from conversations.durability import flush_folder
from conversations.exceptions import Conflict
from conversations.manifests import NAME, Manifest, ManifestFile

# Readable only by the user who made the export: it holds conversations in clear.
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


def write_export(folder: Path, files: Mapping[str, Iterable[Mapping[str, Any]]]) -> Manifest:
    """Write each file's records as lines, then `manifest.json`; on disk for good when this returns.

    The manifest keeps the order of `files`, which is the order of an import. Conflict when the folder is there and
    not empty; whatever fails on the way leaves nothing behind.
    """
    with _new_folder(folder) as beside:
        manifest = Manifest([write_lines(beside / name, records) for name, records in files.items()])
        _write(beside / NAME, [strict_json.encode(manifest), b"\n"])
    return manifest


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> ManifestFile:
    """Write one record a line and flush it to the disk; its entry for a manifest."""
    digest, size, lines = sha256(), 0, 0

    def encoded() -> Iterator[bytes]:
        nonlocal size, lines
        for record in records:
            line = strict_json.encode(record) + b"\n"
            digest.update(line)
            size += len(line)
            lines += 1
            yield line

    _write(path, encoded())
    return ManifestFile(path.name, size, lines, digest.hexdigest())


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is there already, and not empty.")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    beside.mkdir(mode=_FOLDER_MODE, parents=True)
    try:
        yield beside
        flush_folder(beside)
        beside.replace(folder)  # an empty folder is replaced
        flush_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(path: Path, parts: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    with open(descriptor, "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
