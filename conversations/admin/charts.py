"""Charts as plain SVG: no script draws them, they print, and a table beside them says the same."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, FLOOR, GAP = 420, 130, 20, 2
SHOWN = 6  # shares of a list


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    value: int


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars in a box of `WIDTH` x `HEIGHT`; `first`, `last` and `top` label the axes."""

    title: str
    bars: Sequence[Bar]
    top: int
    width: int = WIDTH
    height: int = HEIGHT
    base: int = HEIGHT - FLOOR

    @property
    def first(self) -> str:
        return self.bars[0].label if self.bars else ""

    @property
    def last(self) -> str:
        return self.bars[-1].label if self.bars else ""

    @property
    def total(self) -> int:
        return sum(bar.value for bar in self.bars)


def bar_chart(title: str, values: Sequence[tuple[str, int]]) -> BarChart:
    """One bar for each (label, value), from left to right."""
    top = max((value for _, value in values), default=0)
    step = WIDTH / max(len(values), 1)
    room = HEIGHT - FLOOR - 12
    bars = []
    for number, (label, value) in enumerate(values):
        height = room * value / top if top else 0.0
        bars.append(
            Bar(number * step + GAP / 2, HEIGHT - FLOOR - height, max(step - GAP, 1), height, label, value)
        )
    return BarChart(title, bars, top)


@dataclass(frozen=True, slots=True)
class Share:
    name: str
    value: int
    percent: float


def shares(values: Sequence[tuple[str, int]]) -> list[Share]:
    """The largest values, each with its percentage of the largest."""
    largest = sorted(values, key=lambda pair: -pair[1])[:SHOWN]
    top = max((value for _, value in largest), default=0) or 1
    return [Share(name, value, 100 * value / top) for name, value in largest]
