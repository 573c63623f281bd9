"""Reads any of the formats as one stream of records and line errors."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from conversations import strict_json
from conversations.exceptions import Invalid, MalformedJSON
from conversations.importing import dynamodb, jsonl, langchain, openai, sqlite
from conversations.importing.files import RawLine, find_files, read_lines
from conversations.importing.records import LineError, Record
from conversations.importing.sorting import read_sorted

# Other systems wrap their messages in more levels than a message of ours may have.
_FOREIGN_DEPTH = 2 * strict_json.DEFAULT_DEPTH

_LineReader: TypeAlias = Callable[[Any, RawLine, datetime], list[Record]]


class Format(StrEnum):
    JSONL = "jsonl"
    OPENAI = "openai"
    LANGCHAIN = "langchain"
    DYNAMODB = "dynamodb"
    SQLITE = "sqlite"


_LINE_FORMATS: Mapping[Format, tuple[_LineReader, int]] = {
    Format.JSONL: (jsonl.records, strict_json.DEFAULT_DEPTH),
    Format.OPENAI: (openai.records, _FOREIGN_DEPTH),
    Format.LANGCHAIN: (langchain.records, _FOREIGN_DEPTH),
    Format.DYNAMODB: (dynamodb.records, _FOREIGN_DEPTH),
}
_LINE_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
_DATABASE_SUFFIXES = frozenset({".db", ".sqlite", ".sqlite3"})


def read_records(
    source: Path, format_: Format, *, now: datetime, mapping: sqlite.Mapping = sqlite.DEFAULT_MAPPING
) -> Iterator[Record | LineError]:
    """The records of a file or folder, in the order to store them and in bounded memory.

    Invalid at once when there is nothing to read, an export was altered, or a mapping does not fit a database. A line
    that cannot be read becomes a LineError, and the stream goes on.
    """
    if format_ is Format.SQLITE:
        files = find_files(source, _DATABASE_SUFFIXES)
        return chain.from_iterable([sqlite.records(path, mapping, now) for path in files])
    reader, max_depth = _LINE_FORMATS[format_]
    files = find_files(source, _LINE_SUFFIXES)
    lines: Iterable[RawLine | LineError]
    if format_ is Format.DYNAMODB:
        lines = read_sorted(files, max_depth=max_depth)
    else:
        lines = chain.from_iterable(map(read_lines, files))
    return chain.from_iterable(map(partial(_read, reader=reader, max_depth=max_depth, now=now), lines))


def _read(
    line: RawLine | LineError, *, reader: _LineReader, max_depth: int, now: datetime
) -> list[Record] | list[LineError]:
    if isinstance(line, LineError):
        return [line]
    try:
        return reader(strict_json.parse(line.body, max_depth=max_depth), line, now)
    except MalformedJSON as problem:
        # The parser saw one line only, so it always says "line 1"; the origin has the real number.
        return [LineError(line.origin, "malformed_json", problem.detail.replace("line 1, ", ""))]
    except Invalid as problem:
        return [LineError.of(line.origin, problem)]
