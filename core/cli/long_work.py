"""Let long work be watched, and tell whoever breaks it off how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from attrs import define, field

from ...plugins.care import STAGES_IN_BYTES, Progress
from .faults import Interrupted, lines_of
from .progress import ERASE, Bar, show_progress
from .screen import Screen

__all__ = ["long_work"]


@define
class _Stages:
    """Show one bar after another, as the work goes from stage to stage."""

    screen: Screen
    is_silent: bool = False
    open_bar: ExitStack = field(factory=ExitStack)
    stage: str = ""
    done: int = 0
    bar: Bar | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self.stage:
            self.open_bar.close()
            self.stage, self.done = stage, 0
            is_bytes = stage in STAGES_IN_BYTES
            shown = show_progress(self.screen, stage, max(1, total), is_bytes=is_bytes, is_silent=self.is_silent)
            self.bar = self.open_bar.enter_context(shown)
        if self.bar is not None and (count := done - self.done) > 0:
            self.done = done
            self.bar.step(count=count)


@contextmanager
def long_work(screen: Screen, go_on: str, *, is_silent: bool = False) -> Iterator[Progress]:
    """
    Lend the `Progress` of long work, with a bar for each stage on a terminal.

    Args:
        go_on: what ^C answers with: the command that goes on, and what it finds.
        is_silent: show no bar, for once.
    """
    stages = _Stages(screen, is_silent)
    try:
        with stages.open_bar:
            yield stages
    except KeyboardInterrupt:
        if screen.is_live:
            screen.err.write(ERASE)  # the terminal shows ^C there
        for line in lines_of(screen, f"interrupted: nothing is lost. To go on: {go_on}"):
            screen.tell(line)
        raise Interrupted from None
