"""Sorts the lines of a hash-ordered export by session and time, on disk.

The temporary file holds digests, times and offsets only, never content.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

from conversations import strict_json
from conversations.exceptions import Invalid, MalformedJSON
from conversations.importing.dynamodb import plain_item
from conversations.importing.files import RawLine, read_line_at, read_lines
from conversations.importing.moments import moment_of
from conversations.importing.records import LineError, Origin

_TABLE = "CREATE TABLE places (session BLOB, at REAL, file INTEGER, line INTEGER, start INTEGER)"
_IN_ORDER = "SELECT file, line, start FROM places ORDER BY session, at, file, line"


def read_sorted(files: list[Path], *, max_depth: int) -> Iterator[RawLine | LineError]:
    """The lines of all files, by session and time; lines that have neither come first, in file order."""
    with TemporaryDirectory(prefix="remembrancer-import-") as folder, ExitStack() as stack:
        places = stack.enter_context(closing(sqlite3.connect(Path(folder) / "places")))
        places.execute("PRAGMA journal_mode = OFF")
        places.execute(_TABLE)
        for number, path in enumerate(files):
            for line in read_lines(path):
                if isinstance(line, LineError):
                    yield line
                    continue
                place = (*_order(line, max_depth), number, line.origin.line, line.offset)
                places.execute("INSERT INTO places VALUES (?, ?, ?, ?, ?)", place)
        opened = [stack.enter_context(path.open("rb")) for path in files]
        for number, at_line, start in places.execute(_IN_ORDER):
            yield read_line_at(opened[number], Origin(files[number].name, at_line), start)


def _order(line: RawLine, max_depth: int) -> tuple[bytes, float]:
    try:
        item = plain_item(strict_json.parse(line.body, max_depth=max_depth))
        session, at = item.get("session_id"), moment_of(item.get("timestamp"), "timestamp")
    except (MalformedJSON, Invalid):
        return b"", 0
    return blake2b(str(session).encode(), digest_size=8).digest(), at.timestamp()
