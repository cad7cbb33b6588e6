"""
Prune a base directory, as `telemetry prune` does; print seconds, runs, and the longest time that a step held the lock.

    python prune.py BASE_DIR DAYS
"""

import json
import sys
import time
from datetime import timedelta

from telemetry import TelemetryConfig
from telemetry.core.care import Care


def main() -> None:
    """Prune what is older than so many days."""
    began = time.perf_counter()
    pruned = Care(TelemetryConfig(metrics_dir=sys.argv[1])).prune(timedelta(days=int(sys.argv[2])))
    took_s = time.perf_counter() - began
    runs = sum(store.runs for store in pruned.stores)
    longest_ms = max((store.longest_ms for store in pruned.stores), default=0.0)
    print(json.dumps({"runs": runs, "took_s": took_s, "longest_ms": longest_ms}))


if __name__ == "__main__":
    main()
