"""100 events of a run, with the defaults."""

import os
import signal
import sys

from telemetry import TelemetryClient

with TelemetryClient(metrics_dir=os.getcwd()) as client, client.track_run("probe", "kill-9") as run:
    for number in range(9_000_000, 9_000_100):
        run.log_event("probe", {"number": number})
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
