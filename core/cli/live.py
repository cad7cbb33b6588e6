"""Keep an answer on the terminal up to date, on a page of its own that vanishes at ^C."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from .screen import Screen

__all__ = ["show_live"]

_OPEN, _CLOSE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


def show_live(screen: Screen, lines: Callable[[], Iterable[str]], *, interval_s: float) -> None:
    """
    Show what *lines* returns, anew every *interval_s* seconds, until ^C; what was on the terminal comes back then.

    Lines are overwritten, not erased first, so that nothing flickers.
    """
    screen.write(_OPEN)
    try:
        with suppress(KeyboardInterrupt):  # the way to leave it
            while True:
                _draw(screen, lines())
                time.sleep(interval_s)
    finally:
        screen.write(_CLOSE)
        screen.out.flush()


def _draw(screen: Screen, lines: Iterable[str]) -> None:
    # The window may have been made larger or smaller meanwhile.
    size = shutil.get_terminal_size()
    screen.width = size.columns
    shown = list(lines)[: max(1, size.lines - 1)]
    screen.write(_HOME + "".join(f"{line}{_END_OF_LINE}\n" for line in shown) + _REST)
    screen.out.flush()
