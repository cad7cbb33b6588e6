"""Tell the time to all that is recorded, in one place, so that a test can put a clock of its own there."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["monotonic_ns", "time_ns"]

# Looked up here at each call (`clock.time_ns()`), never imported by name: telemetry.testing.FrozenClock replaces them.
# Waits, deadlines and file names go by the true time, and know nothing of this.
time_ns: Callable[[], int] = time.time_ns
monotonic_ns: Callable[[], int] = time.monotonic_ns
