"""Prove that no test sees the telemetry of whoever runs it."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from patience import pause_at_midnight_s

_HOSTILE = {"TELEMETRY_DISABLED": "1", "METRICS_API_URL": "http://127.0.0.1:9", "AGENT_OWNER": "somebody"}


def test_environment_is_empty_of_ours(isolated_environment: Path, tmp_path: Path):
    """None of our variables is set, and the home folder is an empty one that is not the test's own folder."""
    ours = [name for name in os.environ if name.startswith(("TELEMETRY_", "METRICS_", "AGENT_"))]

    assert [] == ours
    assert isolated_environment == Path.home()
    assert [] == list(isolated_environment.iterdir())
    assert [] == list(tmp_path.iterdir())


def test_isolation_holds_against_a_users_settings(root: Path):
    """The test above passes also where the user's own settings would send everything elsewhere."""
    test = f"{__file__}::{test_environment_is_empty_of_ours.__name__}"

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=root,
        env=os.environ | _HOSTILE,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("moment", "pause_s"),
    [("00:00:00", 0.0), ("23:58:59", 0.0), ("23:59:00", 61.0), ("23:59:59", 2.0)],
)
def test_a_test_is_over_before_the_day_is(moment: str, pause_s: float):
    """None begins in the last minute of a UTC day."""
    now = datetime.fromisoformat(f"2026-11-28T{moment}").replace(tzinfo=UTC)

    assert pause_s == pause_at_midnight_s(now.timestamp())
