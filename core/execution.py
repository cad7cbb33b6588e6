"""Run a command as a child process the way a shell would, and measure it: signals reach it, its output is untouched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Any

from attrs import define, field, frozen

__all__ = ["CANNOT_RUN", "NOT_FOUND", "Finished", "run_command"]

NOT_FOUND, CANNOT_RUN = 127, 126
"""What a shell returns for a command that is not there, or that it must not run."""

_SIGNALLED = 128
_TAIL_BYTES = 4096
_LOOK_S = 0.1
_FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT")
_FROM_TERMINAL = frozenset(("SIGINT", "SIGQUIT"))


@frozen
class Finished:
    """
    How a command ended.

    `exit_code` is what a shell would return: 128 and the number of the signal where one ended it. `signal` is the name
    of that signal. `stderr_tail` is the end of what it wrote to standard error. `usage` holds processor time in
    seconds and memory in MB, as far as the system tells them.
    """

    exit_code: int
    signal: str | None = None
    stderr_tail: str = ""
    usage: Mapping[str, float] = field(factory=dict)


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> Finished:
    """
    Run *command* with our standard streams and return when it has ended.

    Standard error passes through us, so that its end is known; what is written there comes out at once.

    Raises:
        OSError: it cannot be started.
    """
    child = _Child()
    tail: deque[bytes] = deque()
    # First the handlers: a signal that came between the start and them would end us and leave the command behind.
    with _signals_to(child):
        process = child.start(command, environment)
        assert process.stderr is not None
        pump = threading.Thread(target=_pass_on, args=(process.stderr, tail), name="stderr", daemon=True)
        pump.start()
        child.wait()
    # A grandchild may hold the pipe for hours; what the command itself had to say has arrived by now.
    pump.join(timeout=1.0)
    return _finished(process.returncode, b"".join(tail)[-_TAIL_BYTES:].decode("utf-8", "replace"), child.usage)


def _finished(code: int, tail: str, usage: Mapping[str, float]) -> Finished:
    if code >= 0:
        return Finished(code, None, tail, usage)
    return Finished(_SIGNALLED - code, _signal_name(-code), tail, usage)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _pass_on(source: IO[bytes], tail: deque[bytes]) -> None:
    size = 0
    with source:
        while chunk := source.read(65536):
            _write_all(chunk)
            tail.append(chunk)
            size += len(chunk)
            while size - len(tail[0]) > _TAIL_BYTES:
                size -= len(tail.popleft())


def _write_all(chunk: bytes) -> None:
    stream = sys.stderr
    stream.flush()
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        stream.write(chunk.decode("utf-8", "replace"))  # a stream of a test or a notebook
        return
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


@define
class _Child:
    """The process of the command: its start, the signals for it, and its end."""

    usage: dict[str, float] = field(factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _early: list[int] = field(factory=list)
    _is_over: threading.Event = field(factory=threading.Event)

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start the process; signals that came before get to it now."""
        process = subprocess.Popen(command, env=dict(environment), stderr=subprocess.PIPE, bufsize=0)
        self._process = process
        for number in self._early:
            self.send(number)
        return process

    def wait(self) -> None:
        """
        Return when the process has ended; the handlers of signals run meanwhile.

        The wait itself is another thread's: in the main thread a signal that comes just before a system call begins
        is handled when the call returns, which would be the end of the process.
        """
        threading.Thread(target=self._reap, name="waiter", daemon=True).start()
        while not self._is_over.wait(_LOOK_S):
            pass

    def _reap(self) -> None:
        assert self._process is not None
        if hasattr(os, "wait4"):
            _, status, used = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self.usage.update(_usage(used))
        else:
            self._process.wait()
        self._is_over.set()

    def send(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self._process is None:
            self._early.append(number)
        elif not self._is_over.is_set():
            # Not Popen.send_signal(): it looks for the end first, and would take the figures of wait4() away.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


def _usage(used: Any) -> dict[str, float]:
    # Linux counts kilobytes, macOS bytes.
    divisor = 1024 * 1024 if sys.platform == "darwin" else 1024
    usage = {"cpu_user_s": used.ru_utime, "cpu_system_s": used.ru_stime, "max_rss_mb": used.ru_maxrss / divisor}
    return {name: round(value, 3) for name, value in usage.items()}


@contextmanager
def _signals_to(child: _Child) -> Iterator[None]:
    """Hand the signals that we get on to the process; those of the terminal's keys it gets by itself."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change what signals do
        return
    before = {}
    for name in _FORWARDED:
        if hasattr(signal, name):
            before[name] = signal.signal(getattr(signal, name), _forwarder(child, name))
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler if handler is not None else signal.SIG_DFL)


def _forwarder(child: _Child, name: str) -> Any:
    def forward(number: int, frame: FrameType | None) -> None:
        if not (name in _FROM_TERMINAL and _is_in_foreground()):
            child.send(number)

    return forward


def _is_in_foreground() -> bool:
    """Tell whether a terminal sends the signals of its keys to us and our child alike."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except (OSError, AttributeError):
        return sys.platform == "win32"
