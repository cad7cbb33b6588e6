"""Warnings of ours in a process that has set up no logging, and in those that have."""

import subprocess
import sys

import pytest

_AGENT = """
import logging, sys
{setup}
from telemetry import TelemetryClient
with TelemetryClient() as client, client.track_run("agent", "job") as run:
    run.increment("pages", by="x")
    run.increment("pages", by="x")
"""
_WORDS = "by is 'x'; it is no number to add, and kept as an event"


@pytest.mark.parametrize(
    ("setup", "told"),
    [
        ("", f"telemetry: {_WORDS}\n"),
        ("logging.basicConfig()", f"WARNING:telemetry.client:{_WORDS}\n"),
        ("logging.getLogger('telemetry.client').addHandler(logging.StreamHandler())", f"{_WORDS}\n"),
        ("logging.getLogger('telemetry').addHandler(logging.NullHandler())", ""),
        ("logging.getLogger('telemetry').setLevel(logging.ERROR)", ""),
        ("logging.lastResort = None", ""),
    ],
    ids=["none", "basic", "ours", "null", "level", "silent"],
)
def test_a_warning_tells_who_speaks(setup: str, told: str):
    """Where Python would print the bare words; what an agent has set up hears them as ever, once."""
    command = [sys.executable, "-P", "-c", _AGENT.format(setup=setup)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (0, "", told) == (done.returncode, done.stdout, done.stderr)
