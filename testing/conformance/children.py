"""Run a part of a test in a process of its own, which ends or is killed without a word to pytest."""

from __future__ import annotations

import os
import select
import signal
import traceback
import warnings
from collections.abc import Callable

import pytest
from attrs import define

from ...core.shield import attempt

__all__ = ["Child", "Tell", "in_child", "start_child"]

Tell = Callable[[bytes], object]

_LINE = 4096
_PATIENCE_S = 60.0


@define
class Child:
    """A forked process, and the pipe through which it tells."""

    process_id: int
    pipe: int

    def heard(self) -> bytes:
        """Return everything that it tells until its end."""
        with open(self.pipe, "rb", closefd=True) as stream:
            return stream.read()

    def hear(self, lines: int) -> list[bytes]:
        """Return what it tells, until that is *lines* lines or it ends; fail when that takes a minute."""
        heard = b""
        while heard.count(b"\n") < lines:
            if not select.select([self.pipe], [], [], _PATIENCE_S)[0]:
                self.kill()
                pytest.fail(f"the child has stored nothing for {_PATIENCE_S:.0f} s")
            more = os.read(self.pipe, _LINE)
            if not more:
                break
            heard += more
        return heard.split(b"\n")[:-1]

    def kill(self) -> list[bytes]:
        """Kill it with no chance to do anything; return the lines that it told and nobody has heard yet."""
        os.kill(self.process_id, signal.SIGKILL)
        os.waitpid(self.process_id, 0)
        return self.heard().split(b"\n")[:-1]

    def end(self) -> list[bytes]:
        """Return every line that it tells; fail with them when its end is no good one."""
        told = self.heard()
        _, status = os.waitpid(self.process_id, 0)
        assert status == 0, f"in the child process:\n{told.decode('utf-8', 'replace')}"
        return told.split(b"\n")[:-1]


def start_child(act: Callable[[Tell], None]) -> Child:
    """Return a child that does *act*, which gets a function that tells a line to the parent."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork()")
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        # Python warns of a fork beside threads, such as those of a test's own server; the child uses none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        process_id = os.fork()
    if process_id:
        os.close(writes)
        return Child(process_id, reads)
    code = 70
    try:
        os.close(reads)
        _, failure = attempt(act, lambda line: os.write(writes, line + b"\n"))
        if failure is not None:
            os.write(writes, "".join(traceback.format_exception(failure)).encode("utf-8", "replace"))
        code = 0 if failure is None else 1
    finally:
        os._exit(code)


def in_child(act: Callable[[], None]) -> None:
    """Do *act* in a child and wait for it; fail where it fails."""
    start_child(lambda tell: act()).end()
