"""The variables of a running `up`, kept in its data folder so that other commands find its servers."""

import hashlib
import os
import shlex
import tempfile
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

from config.embedded.exceptions import EmbeddedError
from config.embedded.process import is_alive

ENVIRONMENT_FILE = "environment"
LOCK_FILE = "up.lock"
USUAL_FOLDER = ".data"
_ANNOUNCED = "running"


def adopt(environ: MutableMapping[str, str], base_dir: Path) -> None:
    """Fill in unset variables from the data folder of this project's `up`; settings call this first.

    DATABASE_URL decides: where it names another database than the folder does, this process belongs to
    another installation and nothing is filled in.
    """
    database = environ.get("DATABASE_URL")
    folders = [find_folder(environ, base_dir)] if database is None else _candidates(environ, base_dir)
    for folder in folders:
        try:
            values = read(folder / ENVIRONMENT_FILE)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        if database in (None, values.get("DATABASE_URL", "")):
            for name, value in values.items():
                environ.setdefault(name, value)
            return


def find_folder(environ: Mapping[str, str], base_dir: Path) -> Path:
    """The data folder commands work on: DATA_DIR, else that of the one running `up`, else the usual one."""
    first, *others = _candidates(environ, base_dir)
    if others:
        names = ", ".join(map(str, (first, *others)))
        raise EmbeddedError(f"Several `up` run here: {names}.", "Set DATA_DIR to the one that is meant.")
    return first


def _candidates(environ: Mapping[str, str], base_dir: Path) -> list[Path]:
    """The folder that is clearly meant, or all that run."""
    if named := environ.get("DATA_DIR"):
        return [Path(named)]
    usual = base_dir / USUAL_FOLDER
    if running_pid(usual) is not None:
        return [usual]
    running = [folder for folder in _announced_folders(base_dir) if running_pid(folder) is not None]
    return running or [usual]


def announce(folder: Path, base_dir: Path) -> Path | None:
    """Leave a link to a data folder elsewhere for `find_folder`; None where none is needed or possible."""
    if folder == (base_dir / USUAL_FOLDER).resolve():
        return None
    links = base_dir / USUAL_FOLDER / _ANNOUNCED
    link = links / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    try:
        links.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
    except OSError:  # the project folder is not writable: DATA_DIR has to name the data folder then
        return None
    return link


def withdraw(link: Path) -> None:
    """Take back what `announce` left, with the folders it made."""
    link.unlink(missing_ok=True)
    with suppress(OSError):  # others are still announced, or the usual folder is in use
        link.parent.rmdir()
        link.parent.parent.rmdir()


def running_pid(folder: Path) -> int | None:
    """The process of the `up` that runs on a data folder."""
    try:
        pid = int((folder / LOCK_FILE).read_text() or "0")
    except (OSError, ValueError):
        return None
    return pid if pid and is_alive(pid) else None


def read(file: Path) -> dict[str, str]:
    """The variables of a file that a shell could source."""
    lines = shlex.split(file.read_bytes().decode(), comments=True)
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write(file: Path, values: Mapping[str, str]) -> None:
    """Replace the file as a whole; only its owner may read it."""
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    write_private(file, f"# Written by `manage.py up`; it holds keys.\n{text}")


def write_private(file: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only; readers see the old text or the new one."""
    descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with open(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(descriptor)
        Path(unfinished).replace(file)
    except OSError:  # such as a full disk
        Path(unfinished).unlink()
        raise


def _announced_folders(base_dir: Path) -> list[Path]:
    links = base_dir / USUAL_FOLDER / _ANNOUNCED
    try:
        return sorted({link.resolve() for link in links.iterdir()})
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
