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

__all__ = ["Bar", "show_progress"]

_BAR = 24
_REDRAW_S = 0.05
_ERASE = "\r\x1b[K"


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
    done: int = 0
    _drawn_at: float = field(default=0.0, init=False)

    def step(self, detail: str = "", count: int = 1) -> None:
        """Count, and draw anew unless that was just done."""
        self.done += count
        now = time.monotonic()
        if now - self._drawn_at >= _REDRAW_S or self.done >= self.total:
            self._drawn_at = now
            self.screen.err.write(_ERASE + self._line(detail))
            self.screen.err.flush()

    def _line(self, detail: str) -> str:
        screen = self.screen
        filled = min(_BAR, _BAR * self.done // max(self.total, 1))
        bar = screen.style(screen.symbol("full") * filled, "accent") + screen.style(
            screen.symbol("rest") * (_BAR - filled), "dim"
        )
        count = f"{self.done:,}/{self.total:,}"
        room = screen.width - len(self.label) - _BAR - len(count) - 7
        text = screen.style(screen.cut(one_line(detail), room), "dim") if room > 8 else ""
        return f"{self.label}  {bar}  {count}  {text}"


class _Rich:
    """Have rich draw the bar."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task

    def step(self, detail: str = "", count: int = 1) -> None:
        """Hand it on."""
        self._progress.update(self._task, advance=count, detail=one_line(detail))


@contextmanager
def show_progress(screen: Screen, label: str, total: int, *, is_silent: bool = False) -> Iterator[Bar]:
    """
    Lend a bar while the work goes on; it vanishes in the end.

    Args:
        label: a word for the work.
        total: how many steps it has.
        is_silent: show nothing, for once.
    """
    if is_silent or not screen.is_live:
        yield _Silent()
    elif find_spec("rich") is not None and screen.has_symbols:
        with _rich_bar(screen, label, total) as bar:
            yield bar
    else:
        try:
            yield _Drawn(screen, label, total)
        finally:
            screen.err.write(_ERASE)
            screen.err.flush()


@contextmanager
def _rich_bar(screen: Screen, label: str, total: int) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=screen.err, no_color=not screen.has_color, force_terminal=True, width=screen.width)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(_BAR),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Rich(progress, progress.add_task(label, total=total, detail=""))
