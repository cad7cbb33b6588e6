"""Turn what an agent logs inside a run into events of that run."""

from __future__ import annotations

import logging
from typing import Any

from .tracking import current_run

__all__ = ["RunLogHandler"]

_OURS = "telemetry"
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class RunLogHandler(logging.Handler):
    """
    Record each log record that falls inside a tracked run as an event of type `log`.

    The payload has `level`, `logger`, `message`, the place (`file`, `line`), the error if there is one, and what was
    passed as `extra`. Outside of a run nothing is recorded; what the platform itself logs never is.

    Args:
        level: the least level that is recorded.
        event_type: the type of the events.
    """

    def __init__(self, level: int | str = logging.INFO, *, event_type: str = "log") -> None:
        super().__init__(level)
        self._event_type = event_type

    def handle(self, record: logging.LogRecord) -> bool:
        """Record *record* unless a filter leaves it out."""
        # Without the lock that logging takes here. Under it two threads waited for each other for ever: one, in mid
        # sync, was interrupted by a signal handler that logs; the other held the lock and waited for that sync.
        kept = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Record *record* in the current run, if there is one."""
        run = current_run()
        if run is not None and record.name.partition(".")[0] != _OURS:
            run.log_event(self._event_type, _payload_of(record))


def _payload_of(record: logging.LogRecord) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "level": record.levelname,
        "logger": record.name,
        "message": _message_of(record),
        "file": record.filename,
        "line": record.lineno,
    }
    if record.exc_info and record.exc_info[0] is not None:
        payload["error"] = logging.Formatter().formatException(record.exc_info)
    return payload | {name: value for name, value in vars(record).items() if name not in _USUAL}


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # The arguments do not fit the text; logging itself would print a traceback to standard error.
        return f"{record.msg} {record.args}"
