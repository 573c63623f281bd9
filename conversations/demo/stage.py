"""Fills a screenplay's open places: one seeded stage per session, the same words every time."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from math import prod
from typing import TypeVar
from zlib import crc32

from conversations.demo.script import Beat, Choice, Let, Line, Pause, Setting

ALTERNATIVES = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
SLOT = re.compile(r"\{([a-z_]\w*)(?:\.(\w+))?([+-]\d+)?\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)(?:/(\d+))?")
WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}

Option = TypeVar("Option")
Value = str | Mapping[str, str]
Pools = Mapping[str, tuple[Mapping[str, str], ...]]


def seeded(key: str) -> random.Random:
    """A generator that gives the same numbers for the same key on every machine."""
    return random.Random(key)  # noqa: S311 - variety, not secrecy


@dataclass(slots=True)
class Stage:
    """Makes choices and draws values; a slot keeps its value, and numbered slots of one pool differ.

    Branches rotate with the telling: two in a row never agree. Some of the choices within a text rotate at half
    the speed, so that a third telling is not the first.
    """

    rng: random.Random
    pools: Pools
    begins_at: datetime
    language: str
    telling: int = 0
    slots: dict[str, Value] = field(default_factory=dict)

    def set_up(self, lets: tuple[Let, ...]) -> None:
        for let in lets:
            if let.name in self.slots:
                continue
            if let.is_sum:
                self.slots[let.name] = _total(self.say(let.expression))
            else:
                self.slots[let.name] = self.say(self._drawn(let.expression))

    def say(self, text: str) -> str:
        """The text with every choice made and every slot filled."""
        while ALTERNATIVES.search(text):
            text = ALTERNATIVES.sub(
                lambda match: self._picked(match[1].split("|"), match[1], crc32(match[1].encode()) % 7 % 2),
                text,
                count=1,
            )
        return SLOT.sub(lambda match: self._filled(match[1], match[2], int(match[3] or 0)), text)

    def play(self, beats: tuple[Beat, ...]) -> Iterator[Line | Setting | Pause]:
        """The beats in order, one branch of each choice."""
        for beat in beats:
            if isinstance(beat, Choice):
                yield from self.play(self._picked(beat.branches, repr(beat.branches[-1][:1])))
            else:
                yield beat

    def _picked(self, options: Sequence[Option], place: str, slowness: int = 0) -> Option:
        return options[(crc32(place.encode()) + (self.telling >> slowness)) % len(options)]

    def _drawn(self, expression: str) -> str:
        if match := RANGE.fullmatch(expression):
            first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
            return str(self.rng.randrange(first, last + 1, step))
        return self.rng.choice(expression.split(" | "))

    def _filled(self, name: str, attribute: str | None, shift: int) -> str:
        if name in ("date", "weekday"):
            return self._day(name, shift)
        value = self.slots.get(name) or self._from_pool(name)
        return value if isinstance(value, str) else value[attribute or "name"]

    def _from_pool(self, name: str) -> Mapping[str, str]:
        pool = name.rstrip("0123456789")
        taken = [value for key, value in self.slots.items() if key.rstrip("0123456789") == pool]
        value = self.rng.choice([entry for entry in self.pools[pool] if entry not in taken])
        self.slots[name] = value
        return value

    def _day(self, name: str, shift: int) -> str:
        day = self.begins_at + timedelta(days=shift)
        tongue = "zh" if self.language.startswith("zh") else "en"
        if name == "weekday":
            return WEEKDAYS[tongue][day.weekday()]
        return f"{day.month}月{day.day}日" if tongue == "zh" else f"{day.day} {day:%B}"


def _total(expression: str) -> str:
    terms = (prod(Decimal(factor.strip()) for factor in term.split("*")) for term in expression.split("+"))
    return f"{sum(terms, Decimal()):.2f}"
