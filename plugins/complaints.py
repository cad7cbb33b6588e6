"""Say the same thing at most once a minute: a fault that lasts must not flood the agent's log."""

from __future__ import annotations

import logging
import time
from typing import Any

from . import voice  # noqa: F401 - wherever somebody complains it is to be heard who

__all__ = ["PAUSE_S", "Complaints"]

PAUSE_S = 60.0
_MOST_KEYS = 1000


class Complaints:
    """
    Log warnings, each key at most once in `PAUSE_S` seconds; what was held back is counted in the next one.

    Args:
        log: the logger of the place that complains.
        clock: seconds that only go forward; tests move it.
    """

    def __init__(self, log: logging.Logger, clock: Any = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, key: str, message: str, *args: object, **extra: object) -> bool:
        """
        Log *message* as a warning unless *key* was used within the last minute; return whether it was logged.

        Args:
            key: names the complaint; two messages with one key count as the same.
            extra: fields for the log record.
        """
        now = self._clock()
        said_at, held = self._said.get(key, (-PAUSE_S, 0))
        if now - said_at < PAUSE_S:
            self._said[key] = (said_at, held + 1)
            return False
        if len(self._said) >= _MOST_KEYS:
            self._said.clear()  # keys may hold names that an agent made up; memory stays bounded
        self._said[key] = (now, 0)
        suffix = f" ({held} more like this in the last minute)" if held else ""
        self._log.warning(message + suffix.replace("%", "%%"), *args, extra=extra)
        return True
