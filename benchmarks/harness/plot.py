"""Draw lines over a logarithmic axis as SVG, by hand: a drawing library would be the largest dependency here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from .figures import Line, Plot

__all__ = ["svg"]

_WIDTH, _HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 170, 44, 52
_COLOURS = ("#1f6feb", "#d1590a", "#2a8a4a", "#8250df", "#b3261e", "#57606a")
_TICKS = 5


def svg(plot: Plot) -> str:
    """Return *plot* as the text of an SVG file, readable on light and dark pages."""
    scale = _Scale(plot)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(plot.title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#ffffff"/>',
        _text(_LEFT, 24, plot.title, size=14),
        *_grid(scale),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, plot.x, anchor="middle"),
        _text(_LEFT - 8, _TOP - 8, plot.y, anchor="end"),
        *(part for number, line in enumerate(plot.lines) for part in _line(scale, line, number)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Scale:
    """Where a point of a plot lies in the picture: x logarithmic, y from nothing up."""

    def __init__(self, plot: Plot) -> None:
        points = [point for line in plot.lines for point in line.points]
        self.places = sorted({x for x, _ in points})
        self.top = _round_up(max(y for _, y in points))
        self._low, self._high = math.log(self.places[0]), math.log(self.places[-1])

    def x(self, value: float) -> float:
        span = (self._high - self._low) or 1.0
        return _LEFT + (math.log(value) - self._low) / span * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM)


def _round_up(value: float) -> float:
    unit = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * unit for step in (1, 2, 2.5, 5, 10) if step * unit >= value)


def _grid(scale: _Scale) -> Iterator[str]:
    for number in range(_TICKS + 1):
        value = scale.top * number / _TICKS
        y = scale.y(value)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d8dee4"/>'
        yield _text(_LEFT - 8, y + 4, f"{value:,.4g}", anchor="end")
    for value in scale.places:
        yield _text(scale.x(value), _HEIGHT - _BOTTOM + 18, _short(value), anchor="middle")


def _short(value: float) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _line(scale: _Scale, line: Line, number: int) -> Iterator[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    places = [(scale.x(x), scale.y(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
    top = _TOP + 10 + 20 * number
    yield f'<circle cx="{_WIDTH - _RIGHT + 20}" cy="{top}" r="5" fill="{colour}"/>'
    yield _text(_WIDTH - _RIGHT + 32, top + 4, line.name)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="#24292f">{escape(text)}</text>'
