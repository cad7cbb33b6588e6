"""Know what the terminal can show, and write to it: colours, symbols and widths are decided here and nowhere else."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TextIO

import click
from attrs import define, field

from .letters import cut, cut_in_front

__all__ = ["STATUS_STYLES", "Screen", "local_now", "screen_for"]

_CODES = {
    "bold": "1",
    "dim": "2",
    "success": "32",
    "failed": "31",
    "partial": "33",
    "running": "36",
    "accent": "36",
    "warning": "33",
    "head": "2",
}
_SYMBOLS = {
    "success": ("✓", "+"),
    "failed": ("✗", "x"),
    "partial": ("◐", "~"),
    "running": ("●", ">"),
    "ellipsis": ("…", "~"),
    "dot": ("·", "-"),
    "arrow": ("→", "->"),
    "full": ("█", "#"),
    "rest": ("░", "."),
    "branch": ("├", "|"),
    "last": ("└", "`"),
    "dash": ("─", "-"),
}
_SPARKS = ("▁▂▃▄▅▆▇█", "_.-=+*%#")
STATUS_STYLES = ("success", "failed", "partial", "running")
_NARROWEST = 40


def local_now() -> datetime:
    """Return the time on the local clock, with its offset."""
    return datetime.now().astimezone()


@define(eq=False)
class Screen:
    """
    Where answers are written, and what it can show.

    Args:
        out: answers go here.
        err: faults, warnings and progress go here.
        width: columns of the terminal.
        is_terminal: whether *out* is one; if not, lists come as plain columns.
        is_live: whether *err* is one; if not, there is no progress bar.
        has_color: whether colours are used.
        has_symbols: whether *out* can be written in more than ASCII.
        now: tells the time.
    """

    out: TextIO
    err: TextIO
    width: int = 80
    is_terminal: bool = False
    is_live: bool = False
    has_color: bool = False
    has_symbols: bool = True
    now: Callable[[], datetime] = field(default=local_now)

    def say(self, text: str = "") -> None:
        """Write a line of an answer."""
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Write a piece of an answer, without a newline."""
        if sys.platform == "win32":
            click.echo(text, file=self.out, nl=False, color=self.has_color)  # older consoles know no codes
        else:
            self.out.write(text)  # click.echo() flushes each line, at 2 us and more: too much for a million

    def tell(self, text: str) -> None:
        """Write a line beside the answer: a fault, a warning, advice."""
        self.out.flush()
        click.echo(text, file=self.err, color=self.has_color and self.is_live)

    def style(self, text: str, *names: str) -> str:
        """Return *text* in the styles of these names, or as it is where there are no colours."""
        codes = ";".join(_CODES[name] for name in names if name in _CODES)
        return f"\x1b[{codes}m{text}\x1b[0m" if codes and text and self.has_color else text

    def symbol(self, name: str) -> str:
        """Return the sign of this name, in ASCII where nothing else can be written."""
        return _SYMBOLS[name][0 if self.has_symbols else 1]

    def cut(self, text: str, width: int) -> str:
        """Return *text* in at most *width* columns, with a sign where something was left out."""
        return cut(text, width, self.symbol("ellipsis"))

    def cut_in_front(self, text: str, width: int) -> str:
        """Return the end of *text* in at most *width* columns, with a sign where something was left out."""
        return cut_in_front(text, width, self.symbol("ellipsis"))

    def status(self, word: str) -> str:
        """Return a status as a word with its sign, not coloured."""
        return f"{self.symbol(word)} {word}" if word in STATUS_STYLES else word

    def sparkline(self, values: list[float]) -> str:
        """Return one small bar a value, from 0 to the largest."""
        bars = _SPARKS[0 if self.has_symbols else 1]
        top = max(values, default=0)
        if top <= 0:
            return bars[0] * len(values)
        return "".join(bars[min(len(bars) - 1, round(value / top * (len(bars) - 1)))] for value in values)


def screen_for(color: str = "auto", environ: Mapping[str, str] = os.environ) -> Screen:
    """
    Return the screen on the standard streams of this process.

    Args:
        color: `always`, `never`, or `auto`: on a terminal that is not dumb, unless NO_COLOR is set; FORCE_COLOR
            counts where it is not.
    """
    out = sys.stdout
    is_terminal = out.isatty()
    return Screen(
        out,
        sys.stderr,
        width=max(_NARROWEST, shutil.get_terminal_size().columns),
        is_terminal=is_terminal,
        is_live=sys.stderr.isatty() and environ.get("TERM") != "dumb",
        has_color=_has_color(color, environ, is_terminal),
        has_symbols=_can_write(out),
    )


def _has_color(color: str, environ: Mapping[str, str], is_terminal: bool) -> bool:
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (is_terminal and environ.get("TERM") != "dumb")


def _can_write(out: TextIO) -> bool:
    try:
        "".join(signs[0] for signs in _SYMBOLS.values()).encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
