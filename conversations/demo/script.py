"""Reads the screenplays in `data/`: hand-written dialogues with places left open.

    === slug                         a dialogue
    title: text                      headers; `let x = a | b`, `let n = 200..600/50`, `let sum := n*0.4`
                                     then a blank line
    U(intent .95 -.4): text          user: intent, confidence, mood (-1..1); `@Name` says who speaks
    A: text                          assistant; S system, D developer
    T(tool_name): text               what a tool answered
      more text                      continues the line above, also after an empty line
    ! key: value                     a note on the line above (attachment, remembered fact, suggestion, call)
    = key: value                     changes a header from here on (the outcome of a branch)
    ~ 3h                             time passes (s, m, h)
    -- maybe / -- either / -- or / -- end

Within text `[a|b|]` is a choice and `{slot}` a value, one per session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

ROLES = {"U": "user", "A": "assistant", "S": "system", "D": "developer", "T": "tool"}
UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
LINE = re.compile(r"([UASDT])(?:\(([^)]*)\))?: ?(.*)")
KEYED = re.compile(r"([!=]) ([a-z_.]+): (.*)")
LET = re.compile(r"let (\w+) (:?=) (.*)")
HEADER = re.compile(r"([a-z_.]+): (.*)")
PAUSE = re.compile(r"~ (\d+)([smh])")


class ScriptError(ValueError):
    """A screenplay that cannot be read; names the dialogue and the line."""


@dataclass(frozen=True, slots=True)
class Note:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Line:
    role: str
    text: str
    name: str | None = None
    intent: str | None = None
    confidence: float | None = None
    mood: float | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Pause:
    length: timedelta


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the branches is played; an optional passage has an empty second branch."""

    branches: tuple[tuple[Beat, ...], ...]


Beat: TypeAlias = "Line | Setting | Pause | Choice"


@dataclass(frozen=True, slots=True)
class Let:
    name: str
    expression: str
    is_sum: bool


@dataclass(frozen=True, slots=True)
class Script:
    slug: str
    headers: dict[str, str]
    lets: tuple[Let, ...]
    beats: tuple[Beat, ...]


@dataclass(slots=True)
class _Reader:
    """Walks the lines of one dialogue once, building nested beats."""

    slug: str
    lines: list[str]
    at: int = 0

    def block(self) -> tuple[tuple[Beat, ...], str]:
        """Beats up to `-- or`, `-- end` or the last line, and what ended them."""
        beats: list[Beat] = []
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip()
            self.at += 1
            if line in ("-- or", "-- end"):
                return tuple(beats), line
            if line in ("-- maybe", "-- either"):
                beats.append(self.choice(optional=line == "-- maybe"))
            elif line:
                self.take(line, beats, after_gap=self.at > 1 and not self.lines[self.at - 2].strip())
        return tuple(beats), ""

    def choice(self, *, optional: bool) -> Choice:
        branches: list[tuple[Beat, ...]] = [()] if optional else []
        while True:
            branch, ended_by = self.block()
            branches.append(branch)
            if ended_by != "-- or":
                break
        if ended_by != "-- end":
            raise ScriptError(f"{self.slug}: a block is left open")
        return Choice(tuple(branches))

    def take(self, line: str, beats: list[Beat], *, after_gap: bool) -> None:
        if match := LINE.fullmatch(line):
            beats.append(_spoken(*match.groups()))
        elif match := KEYED.fullmatch(line):
            self.keyed(*match.groups(), beats=beats)
        elif match := PAUSE.fullmatch(line):
            beats.append(Pause(timedelta(**{UNITS[match[2]]: int(match[1])})))
        elif line.startswith("  ") and beats and isinstance(last := beats[-1], Line):
            beats[-1] = replace(last, text=last.text + ("\n\n" if after_gap else "\n") + line[2:])
        else:
            raise ScriptError(f"{self.slug}: {line!r}")

    def keyed(self, sign: str, key: str, value: str, *, beats: list[Beat]) -> None:
        if sign == "=":
            beats.append(Setting(key, value))
        elif beats and isinstance(last := beats[-1], Line):
            beats[-1] = replace(last, notes=(*last.notes, Note(key, value)))
        else:
            raise ScriptError(f"{self.slug}: a note without a line: {key}")


def _spoken(letter: str, given: str | None, text: str) -> Line:
    name = intent = None
    numbers: list[float] = []
    for word in (given or "").split():
        if word.startswith("@"):
            name = word[1:].replace("_", " ")
        elif re.fullmatch(r"[+-]?\d*\.?\d+", word):
            numbers.append(float(word))
        else:
            intent = word
    if letter == "T":
        return Line(role="tool", text=text, name=intent)
    confidence, mood = [*numbers, None, None][:2]
    return Line(ROLES[letter], text, name=name, intent=intent, confidence=confidence, mood=mood)


def read_scripts(path: Path) -> Iterator[Script]:
    """The dialogues of one file, in order."""
    _, *chapters = re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for chapter in chapters:
        yield _read(chapter.splitlines())


def _read(lines: list[str]) -> Script:
    slug, headers, lets = lines[0].strip(), {}, []
    body = lines.index("", 1) if "" in lines[1:] else len(lines)
    for line in lines[1:body]:
        if match := LET.fullmatch(line):
            lets.append(Let(match[1], match[3], is_sum=match[2] == ":="))
        elif match := HEADER.fullmatch(line):
            headers[match[1]] = match[2]
        else:
            raise ScriptError(f"{slug}: {line!r}")
    beats, ended_by = _Reader(slug, lines[body:]).block()
    if ended_by:
        raise ScriptError(f"{slug}: {ended_by} without a beginning")
    return Script(slug, headers, tuple(lets), beats)
