"""Prove that no test sees the telemetry of whoever runs it."""

import os
import subprocess
import sys
from pathlib import Path

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
