"""`manifest.json`: the files of an export with their digests, so that alterations are found."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from conversations import strict_json
from conversations.exceptions import Invalid, MalformedJSON

NAME = "manifest.json"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ManifestFile:
    name: str
    bytes: int
    lines: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    files: list[ManifestFile]


def is_export(folder: Path) -> bool:
    return (folder / NAME).is_file()


def verify(folder: Path) -> list[Path]:
    """The files of an export in the manifest's order; Invalid when one is missing, altered or not listed."""
    manifest = _read(folder / NAME)
    listed = {file.name for file in manifest.files}
    if strangers := sorted({path.name for path in folder.iterdir()} - listed - {NAME}):
        raise Invalid(detail=f"{folder}: {strangers[0]} is not in {NAME}.")
    return [_check(folder, file) for file in manifest.files]


def _read(path: Path) -> Manifest:
    try:
        return strict_json.decode(path.read_bytes(), Manifest)
    except (MalformedJSON, Invalid) as problem:
        raise Invalid(detail=f"{path}: not a manifest of an export. {problem.detail}") from None


def _check(folder: Path, file: ManifestFile) -> Path:
    path = folder / file.name
    # A name from a file is not to be trusted: it must stay in the folder.
    if path.name != file.name or path.is_symlink() or not path.is_file():
        raise Invalid(detail=f"{folder}: {file.name} is missing.")
    if measure(path) != file:
        raise Invalid(
            detail=f"{folder}: {file.name} is not what {NAME} says: it was altered after the export."
        )
    return path


def measure(path: Path) -> ManifestFile:
    """The entry of a file as it is now."""
    digest, size, lines = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
    return ManifestFile(path.name, size, lines, digest.hexdigest())
