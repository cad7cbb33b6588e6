"""Ask SQLite again while somebody else holds the file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ...plugins.errors import Retryable
from .faults import named

__all__ = ["patiently"]

_PAUSE_S = 0.001
_Result = TypeVar("_Result")


def patiently(act: Callable[[], _Result], end: float) -> _Result:
    """Call *act* again while somebody else holds the file, until the monotonic clock shows *end*."""
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            if not isinstance(named(error, Path()), Retryable) or time.monotonic() >= end:
                raise
        time.sleep(_PAUSE_S)
