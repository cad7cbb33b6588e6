"""
Build the database of a base directory anew, as `telemetry rebuild` does; print seconds and peak memory.

    python rebuild.py BASE_DIR
"""

import json
import resource
import sys
import time

from telemetry import TelemetryClient, TelemetryConfig
from telemetry.core.care import Care


def main() -> None:
    """Build it, then count what is there."""
    began = time.perf_counter()
    Care(TelemetryConfig(metrics_dir=sys.argv[1])).rebuild()
    found = {
        "all_s": time.perf_counter() - began,
        "cpu_s": time.process_time(),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    with TelemetryClient(base_dir=sys.argv[1]) as client:
        found["runs"] = client.get_stats()["total_runs"]
        found["events"] = sum(1 for _ in client.events(event_type="the-last"))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
