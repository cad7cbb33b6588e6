"""
Log events and print how much memory that took over the bare interpreter.

    python memory.py CONFIG_FILE COUNT
    python memory.py libraries
"""

import gc
import json
import os
import sys

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mb() -> float:
    """Return the resident memory of this process, in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE / 1e6


def private_mb() -> float:
    """Return what of the memory is no page of a file, in MB; 0 where the system does not tell."""
    # Not what the kernel calls private: a library's code is that too, as long as no other process uses it.
    if not os.path.exists("/proc/self/smaps_rollup"):
        return 0.0
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Anonymous:")) * 1024 / 1e6


def libraries() -> None:
    """Import what the agent's path rests on, and make a database with one row: what nothing of ours can do without."""
    interpreter, private = resident_mb(), private_mb()
    import logging
    import sqlite3
    import threading

    import attrs
    import msgspec
    import pluggy

    connection = sqlite3.connect("")
    connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY)")
    connection.execute("INSERT INTO runs VALUES ('a')")
    kept = [logging, threading, attrs, msgspec, pluggy, connection]
    print(json.dumps({"events": resident_mb() - interpreter, "private": private_mb() - private, "kept": len(kept)}))


def main() -> None:
    """Import, log a little, log a lot, and end many runs; print the memory after each."""
    interpreter, private = resident_mb(), private_mb()
    import telemetry

    imported = resident_mb()
    client = telemetry.TelemetryClient(telemetry.TelemetryConfig.load(sys.argv[1]))
    count = int(sys.argv[2])
    run_id = client.start_run("bench", "memory")
    marks = {}
    for number in range(count):
        client.log_event(run_id, "parsed", {"n": number, "file": f"file-{number % 1000}.py", "note": "a line of prose"})
        if number == count // 10:
            marks["tenth"] = resident_mb()
    marks["events"] = resident_mb()
    own = private_mb() - private
    for number in range(count // 50):
        client.end_run(client.start_run("bench", f"job-{number % 100}"))
    gc.collect()
    marks["runs"] = resident_mb()
    client.close(timeout_s=0.5)
    over = {name: value - interpreter for name, value in {"imported": imported, **marks}.items()}
    print(json.dumps({**over, "private": own}))


if __name__ == "__main__":
    libraries() if sys.argv[1] == "libraries" else main()
