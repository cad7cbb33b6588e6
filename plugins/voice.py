"""Say who speaks where an agent has set up no logging: Python then prints the bare words of a warning."""

from __future__ import annotations

import copy
import logging

__all__ = ["Voice"]

_OURS = logging.getLogger("telemetry")


class Voice(logging.Handler):
    """
    Stand on our root logger, and write `telemetry: ` and the message as Python's last resort would have written it.

    Silent as soon as any other handler hears the record: what is configured stays as it was.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* if nobody else does."""
        last = logging.lastResort
        if last is None or record.levelno < last.level or self._is_heard(record.name):
            return
        spoken = copy.copy(record)
        spoken.msg, spoken.args = f"{_OURS.name}: {record.getMessage()}", None
        last.handle(spoken)

    def _is_heard(self, name: str) -> bool:
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


_OURS.addHandler(Voice())
