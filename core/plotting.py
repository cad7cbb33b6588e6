"""Turn a metric over runs into a picture: points side by side, a scale that people can read, SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from attrs import frozen

__all__ = ["Point", "Scale", "columns_of", "svg_of"]

_STEPS = (1, 2, 2.5, 5, 10)


@frozen
class Point:
    """One value at one moment; `at` is in seconds since 1970, `is_failed` marks it."""

    at: float
    value: float
    label: str = ""
    is_failed: bool = False


@frozen
class Scale:
    """
    A scale from `low` to `high` with round numbers.

    `ticks` are the numbers to write at it.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Sequence[float], *, most_ticks: int = 5, unit: float = 1.0) -> Scale:
        """Return a scale that holds all *values*, and 0 where they are near it; its ticks are round in *unit*."""
        low, high = min(values) / unit, max(values) / unit
        low = 0.0 if 0 <= low <= high / 2 or low == high >= 0 else low
        step = _round_step((high - low) / max(most_ticks - 1, 1) or abs(high) or 1.0)
        bottom, top = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
        ticks = tuple(number * step * unit for number in range(bottom, top + 1))
        return cls(ticks[0], ticks[-1], ticks)

    def share(self, value: float) -> float:
        """Return where *value* stands: 0 at the bottom, 1 at the top."""
        return (value - self.low) / (self.high - self.low)


def _round_step(rough: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(step * magnitude for step in _STEPS if step * magnitude >= rough * 0.999999)


def columns_of(points: Sequence[Point], count: int) -> list[Sequence[Point]]:
    """Return *points* in at most *count* groups of neighbours, all of nearly the same size and none empty."""
    columns = min(count, len(points))
    bounds = [number * len(points) // columns for number in range(columns + 1)]
    return [points[start:end] for start, end in pairwise(bounds)]


_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 900, 360, 80, 20, 44, 40


def svg_of(
    points: Sequence[Point], scale: Scale, *, title: str, labels: Sequence[str], x_labels: tuple[str, str]
) -> str:
    """
    Return a picture of *points* as SVG, with light and dark colours as the reader's system wants them.

    Points stand at equal distances: runs come in bursts, and over time most of them would lie on one spot.

    Args:
        scale: holds all of them.
        title: stands above them.
        labels: what to write at each tick of the scale, from the bottom.
        x_labels: what to write below the first and the last point.
    """
    places = [(_x(number, len(points)), _y(scale, point.value)) for number, point in enumerate(points)]
    parts = [_HEAD.format(title=escape(title), width=_WIDTH, height=_HEIGHT), _grid(scale, labels)]
    parts.append(f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>')
    parts += [_dot(point, x, y) for point, (x, y) in zip(points, places, strict=True)]
    baseline = _HEIGHT - _BOTTOM + 22
    parts.append(f'<text x="{_LEFT}" y="{baseline}">{escape(x_labels[0])}</text>')
    parts.append(f'<text class="end" x="{_WIDTH - _RIGHT}" y="{baseline}">{escape(x_labels[1])}</text>')
    return "\n".join((*parts, "</svg>\n"))


_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>{title}</title>
<style>
text {{ font: 13px system-ui, sans-serif; fill: #57606a }} .title {{ font-size: 16px; fill: #24292f }}
.end {{ text-anchor: end }} .grid {{ stroke: #d0d7de }} .line {{ fill: none; stroke: #0969da; stroke-width: 1.5 }}
circle {{ fill: #0969da }} .failed {{ fill: #cf222e }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #8b949e }} .title {{ fill: #e6edf3 }} .grid {{ stroke: #30363d }} .line {{ stroke: #58a6ff }}
circle {{ fill: #58a6ff }} .failed {{ fill: #ff7b72 }} }}
</style>
<text class="title" x="16" y="26">{title}</text>"""


def _grid(scale: Scale, labels: Sequence[str]) -> str:
    lines = []
    for tick, label in zip(scale.ticks, labels, strict=True):
        y = _y(scale, tick)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="end" x="{_LEFT - 8}" y="{y + 4:.1f}">{escape(label)}</text>')
    return "\n".join(lines)


def _dot(point: Point, x: float, y: float) -> str:
    kind = ' class="failed"' if point.is_failed else ""
    return f'<circle{kind} cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{escape(point.label)}</title></circle>'


def _x(number: int, count: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (number / (count - 1) if count > 1 else 0.5)


def _y(scale: Scale, value: float) -> float:
    return _HEIGHT - _BOTTOM - scale.share(value) * (_HEIGHT - _TOP - _BOTTOM)
