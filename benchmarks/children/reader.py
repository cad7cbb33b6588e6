"""
Read a store in a loop, as a page that refreshes itself does, until a line comes on standard input; print how often.

    python reader.py BASE_DIR PAUSE_S
"""

import json
import select
import sys

import telemetry


def main() -> None:
    """Ask for the latest runs and the counts again and again; say so after the first time."""
    questions, pause_s = 0, float(sys.argv[2])
    with telemetry.TelemetryClient(base_dir=sys.argv[1]) as client:
        while not select.select([sys.stdin], [], [], pause_s)[0]:
            list(client.runs(limit=20))
            client.get_stats()
            questions += 1
            if questions == 1:
                print("reading", flush=True)
    print(json.dumps(questions))


if __name__ == "__main__":
    main()
