"""Tell what went wrong in three parts, on standard error: what, where, and what to do; and give it an exit code."""

from __future__ import annotations

from enum import IntEnum

import click

from .letters import printable
from .screen import Screen

__all__ = [
    "Exit",
    "Fault",
    "Interrupted",
    "expected_errors",
    "fault_of",
    "lines_of",
    "report",
    "warn",
]

_NARROWEST = 20


class Exit(IntEnum):
    """What the command line returns to whoever called it."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    BAD_CONFIG = 4


class Fault(Exception):
    """
    A command cannot do what it was asked.

    Args:
        what: what is wrong, in one sentence.
        where: the place that it concerns, such as a file.
        cure: what to do about it.
        code: the exit code.
    """

    def __init__(self, what: str, *, where: str = "", cure: str = "", code: Exit = Exit.FAILURE) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.cure = cure
        self.code = code


class Interrupted(KeyboardInterrupt):
    """^C, which the command has answered already."""


def expected_errors() -> tuple[type[Exception], ...]:
    """Return what a command may end with, beside a bug of ours; imported when something was raised, not before."""
    from ...plugins.errors import TelemetryError

    return click.ClickException, Fault, TelemetryError, OSError


def fault_of(error: Exception) -> Fault:
    """Return the fault that stands for an error of the platform or of click."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, click.UsageError):
        return _usage_fault(error)
    from ...plugins.errors import ConfigError, InputError, MissingExtra, NotFound, Retryable, StoreError, TelemetryError

    if isinstance(error, ConfigError):
        told = "\n".join(error.faults)
        return Fault(told, cure="telemetry config check", code=Exit.BAD_CONFIG)
    if isinstance(error, NotFound):
        return Fault(str(error), cure="telemetry runs", code=Exit.NOT_FOUND)
    if isinstance(error, MissingExtra):
        return Fault(str(error).partition(" Get it with:")[0], cure=error.command)
    if isinstance(error, InputError):
        return Fault(str(error), code=Exit.USAGE)
    if isinstance(error, StoreError) and error.cure:
        return Fault(error.what, cure=error.cure, code=Exit.NOT_FOUND if error.is_absent else Exit.FAILURE)
    if isinstance(error, Retryable):
        return Fault(str(error), cure="the same command again, in a moment")
    cure = "telemetry doctor" if isinstance(error, TelemetryError) else ""
    return Fault(_message_of(error), cure=cure)


def _usage_fault(error: click.UsageError) -> Fault:
    path = error.ctx.command_path if error.ctx is not None else "telemetry"
    return Fault(error.format_message(), where=path, cure=f"{path} --help", code=Exit.USAGE)


def _message_of(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror or type(error).__name__}: {error.filename}"
    return str(error) or type(error).__name__


def report(screen: Screen, fault: Fault) -> None:
    """Write *fault* to standard error."""
    for number, line in enumerate(lines_of(screen, fault.what, len("error: "))):
        head = screen.style("error:", "failed", "bold") if number == 0 else " " * 6
        screen.tell(f"{head} {line}")
    _tell_part(screen, "where:", fault.where)
    _tell_part(screen, "try:", fault.cure)


def lines_of(screen: Screen, text: str, indent: int = 0) -> list[str]:
    """Return *text* as lines, which break at blanks on a terminal; in a file each message stays in one line."""
    lines = printable(text).splitlines() or [""]
    if not screen.is_live:
        return lines
    width = max(_NARROWEST, screen.width - indent)
    return [part for line in lines for part in _broken(line, width)]


def _broken(line: str, width: int) -> list[str]:
    from textwrap import wrap  # 1 ms, for faults only

    return wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]


def _tell_part(screen: Screen, label: str, text: str) -> None:
    for number, line in enumerate(printable(text).splitlines()):
        head = label if number == 0 else ""
        screen.tell(f"{screen.style(f'{head:<6}', 'dim')} {line}")


def warn(screen: Screen, text: str, cure: str = "") -> None:
    """Write a warning to standard error; the command goes on."""
    for number, line in enumerate(lines_of(screen, text, len("warning: "))):
        head = screen.style("warning:", "warning", "bold") if number == 0 else " " * len("warning:")
        screen.tell(f"{head} {line}")
    _tell_part(screen, "try:", cure)
