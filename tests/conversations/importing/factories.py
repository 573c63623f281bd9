"""Files as other systems leave them, and how they are read here."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conversations.importing import Format, LineError, read_records

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def write_lines(path: Path, *lines: Any) -> Path:
    """One line each: bytes as they are, everything else as JSON."""
    bodies = (
        line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines
    )
    path.write_bytes(b"".join(body + b"\n" for body in bodies))
    return path


def read(source: Path, format_: Format, **options: Any) -> list[Any]:
    return list(read_records(source, format_, now=NOW, **options))


def read_tree(tmp_path: Path, format_: Format, *lines: Any) -> list[Any]:
    return read(write_lines(tmp_path / "source.jsonl", *lines), format_)


def errors_of(records: list[Any]) -> list[tuple[int, str]]:
    return [(record.origin.line, record.code) for record in records if isinstance(record, LineError)]


def good(records: list[Any]) -> list[Any]:
    return [record for record in records if not isinstance(record, LineError)]


def words(records: list[Any]) -> list[Any]:
    return [(record.session, record.given.role, record.given.content) for record in records]
