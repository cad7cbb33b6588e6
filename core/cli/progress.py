"""Show how far long work has come: a bar on a terminal, nothing elsewhere; rich draws it where it is installed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Protocol

from attrs import define, field

from .letters import one_line
from .screen import Screen
from .words import share_text

__all__ = ["ERASE", "Bar", "show_progress"]

_BAR = 24
_REDRAW_S = 0.05
ERASE = "\r\x1b[K"
"""Begins the line of the terminal anew."""


class Bar(Protocol):
    """What long work tells of its progress."""

    def step(self, detail: str = "", count: int = 1) -> None:
        """Say that *count* more are done, and what the last one was."""
        ...


class _Silent:
    """Stand for a bar where there is no terminal to draw it on."""

    def step(self, detail: str = "", count: int = 1) -> None:
        """Say nothing."""


@define
class _Drawn:
    """Draw a bar over and over in one line of the terminal."""

    screen: Screen
    label: str
    total: int
    is_bytes: bool
    done: int = 0
    _drawn_at: float = field(default=0.0, init=False)

    def step(self, detail: str = "", count: int = 1) -> None:
        """Count, and draw anew unless that was just done."""
        self.done += count
        now = time.monotonic()
        if now - self._drawn_at >= _REDRAW_S or self.done >= self.total:
            self._drawn_at = now
            self.screen.err.write(ERASE + self._line(detail))
            self.screen.err.flush()

    def _line(self, detail: str) -> str:
        screen = self.screen
        count = _count_text(self.done, self.total, self.is_bytes)
        width = max(0, min(_BAR, screen.width - len(self.label) - len(count) - 5))
        filled = min(width, width * self.done // max(self.total, 1))
        bar = screen.style(screen.symbol("full") * filled, "accent") + screen.style(
            screen.symbol("rest") * (width - filled), "dim"
        )
        room = screen.width - len(self.label) - width - len(count) - 7
        text = screen.style(screen.cut(one_line(detail), room), "dim") if room > 8 else ""
        return f"{self.label}  {bar}  {count}  {text}".rstrip()


@define
class _Rich:
    """Have rich draw the bar."""

    progress: Any
    task: Any
    total: int
    is_bytes: bool
    done: int = 0

    def step(self, detail: str = "", count: int = 1) -> None:
        """Hand it on."""
        self.done += count
        text = _count_text(self.done, self.total, self.is_bytes)
        self.progress.update(self.task, completed=self.done, count=text, detail=one_line(detail))


def _count_text(done: int, total: int, is_bytes: bool) -> str:
    return share_text(done, total) if is_bytes else f"{done:>{len(f'{total:,}')},}/{total:,}"


@contextmanager
def show_progress(
    screen: Screen, label: str, total: int, *, is_bytes: bool = False, is_silent: bool = False
) -> Iterator[Bar]:
    """
    Lend a bar while the work goes on; it vanishes in the end.

    Args:
        label: a word for the work.
        total: how many steps it has.
        is_bytes: a step is a byte, and shown with its unit.
        is_silent: show nothing, for once.
    """
    if is_silent or not screen.is_live:
        yield _Silent()
    elif find_spec("rich") is not None and screen.has_symbols:
        with _rich_bar(screen, label, total, is_bytes) as bar:
            yield bar
    else:
        try:
            yield _Drawn(screen, label, total, is_bytes)
        finally:
            screen.err.write(ERASE)
            screen.err.flush()


@contextmanager
def _rich_bar(screen: Screen, label: str, total: int, is_bytes: bool) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=screen.err, no_color=not screen.has_color, force_terminal=True, width=screen.width)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(_BAR),
        TextColumn("{task.fields[count]}", style="progress.download", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        count = _count_text(0, total, is_bytes)
        yield _Rich(progress, progress.add_task(label, total=total, detail="", count=count), total, is_bytes)
