"""The page's drawings, as SVG in the page's own colours: dots and lines by method."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...guard.printable import printable

__all__ = ["Axis", "Series", "mark", "scatter", "strips"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 520.0, 330.0, 46.0, 14.0, 12.0, 44.0
_ROW, _NAME_WIDTH, _LEAST_TICKS = 26.0, 150.0, 3
_NAME_LETTERS = 19


@dataclass(frozen=True)
class Series:
    """points: (x, y, what a pointer that rests there is told). style: number of the colour and the shape."""

    name: str
    style: int
    points: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class Axis:
    """low, high: its ends, which are data's where they are None. log: whether equal steps are equal factors."""

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False

    def over(self, values: Sequence[float]) -> Axis:
        """With ends, for these values."""
        low = min(values) if self.low is None else self.low
        high = max(values) if self.high is None else self.high
        if self.log:
            low, high = low / 1.25, high * 1.25
        elif low == high:
            low, high = low - 1, high + 1
        return Axis(self.name, low, high, self.log)

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        assert self.low is not None and self.high is not None
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round numbers between the ends."""
        assert self.low is not None and self.high is not None
        if not self.log:
            step = _round_step((self.high - self.low) / 5)
            first = math.ceil(self.low / step - 1e-9)
            return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
            found = [digit * 10.0**decade for decade in decades for digit in digits]
            found = [value for value in found if self.low <= value <= self.high]
            if len(found) >= _LEAST_TICKS:
                return found
        return found


def scatter(series: Sequence[Series], x: Axis, y: Axis, joined: bool = False) -> str:
    """Dots of all series, joined to a line each where asked for; '' where there are none."""
    points = [point for one in series for point in one.points]
    if not points:
        return ""
    x, y = x.over([point[0] for point in points]), y.over([point[1] for point in points])

    def across(value: float) -> float:
        return _LEFT + x.place(value) * (_WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return _HEIGHT - _BOTTOM - y.place(value) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [*_grid(x, y, across, down)]
    for one in series:
        places = [(across(a), down(b)) for a, b, _ in one.points]
        if joined and len(places) > 1:
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
            parts.append(f'<polyline class="line m{one.style % 8}" points="{path}"/>')
        parts += [mark(one.style, *place, point[2]) for place, point in zip(places, one.points, strict=True)]
    label = f"{y.name} by {x.name}"
    return _svg(_WIDTH, _HEIGHT, label, parts)


def strips(rows: Sequence[str], series: Sequence[Series], x: Axis) -> str:
    """A row a name, and in it a dot a series: point (x, number of the row). '' where there are none."""
    points = [point for one in series for point in one.points]
    if not points:
        return ""
    x = x.over([point[0] for point in points])
    height = _TOP + _ROW * len(rows) + _BOTTOM

    def across(value: float) -> float:
        return _NAME_WIDTH + x.place(value) * (_WIDTH - _NAME_WIDTH - _RIGHT)

    bottom = height - _BOTTOM
    parts = []
    for tick in x.ticks():
        parts.append(f'<line class="rule" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{across(tick):.1f}" y="{bottom + 16}">{_number(tick)}</text>')
    for number, name in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        parts.append(f'<line class="rule" x1="{_NAME_WIDTH}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        short = name if len(name) <= _NAME_LETTERS else f"{name[: _NAME_LETTERS - 1]}…"
        parts.append(f'<text class="row" x="{_NAME_WIDTH - 10}" y="{y + 4:.1f}">{_text(short)}</text>')
    for place, one in enumerate(series):
        shift = _ROW * 0.5 * (place / max(len(series) - 1, 1) - 0.5)
        for value, row, told in one.points:
            parts.append(mark(one.style, across(value), _TOP + _ROW * (row + 0.5) + shift, told))
    parts.append(_middle(_NAME_WIDTH, _WIDTH - _RIGHT, height, x.name))
    return _svg(_WIDTH, height, f"{x.name} by scene", parts)


def mark(style: int, x: float, y: float, told: str = "") -> str:
    """A dot: eight colours, and a shape for each eight of them."""
    shape = style // 8 % 3
    title = f"<title>{_text(told)}</title>" if told else ""
    head = f'class="spot m{style % 8}"'
    if shape == 0:
        return f'<circle {head} cx="{x:.1f}" cy="{y:.1f}" r="5">{title}</circle>'
    if shape == 1:
        return f'<rect {head} x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9">{title}</rect>'
    corners = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y + 4.5:.1f} {x - 6:.1f},{y + 4.5:.1f}"
    return f'<polygon {head} points="{corners}">{title}</polygon>'


def _grid(x: Axis, y: Axis, across: Callable[[float], float], down: Callable[[float], float]) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for tick in x.ticks():
        at = across(tick)
        parts.append(f'<line class="rule" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 16}">{_number(tick)}</text>')
    for tick in y.ticks():
        at = down(tick)
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="row" x="{_LEFT - 8}" y="{at + 4:.1f}">{_number(tick)}</text>')
    return [*parts, _middle(_LEFT, right, _HEIGHT, x.name)]


def _middle(left: float, right: float, height: float, name: str) -> str:
    return f'<text class="axis" x="{(left + right) / 2:.1f}" y="{height - 8:.1f}">{_text(name)}</text>'


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{_text(label)}">'
    return "\n".join([head, *parts, "</svg>"])


def _text(words: str) -> str:
    return html.escape(printable(words))


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e5 else f"{value:.0e}"
