"""Run the fixtures and the test that "Test your agent" shows, as a user's own tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from telemetry.testing import plugin

pytestmark = pytest.mark.once

_PAGE = "how-to/test-your-agent.md"
_AGENT_WITH_A_CLIENT_OF_ITS_OWN = """
from telemetry import TelemetryClient


def test_it(telemetry_home):
    with TelemetryClient() as client, client.track_run("crawler"):
        pass

    assert list((telemetry_home / "raw").glob("*.ndjson"))
    assert client.config.is_mock_mode()
"""


@pytest.fixture
def files(blocks) -> dict[str, str]:
    """Return the files of the page by their captions."""
    return {block.caption: block.text for block in blocks(_PAGE) if block.caption}


def what_pytest_says(folder: Path, **files: str) -> str:
    """Write *files* into *folder* and run pytest there, to a good end."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_tests_of_the_page_pass(files, tmp_path):
    """They find our fixtures without a conftest.py of their own."""
    told = what_pytest_says(tmp_path, test_crawler=files["test_crawler.py"])

    assert "6 passed" in told


def test_every_fixture_is_on_the_page(page):
    """None is left to be found by chance."""
    names = [name for name in vars(plugin) if name.startswith("telemetry_") or name == "assert_run"]

    assert len(names) >= 5
    assert [] == [name for name in names if f"| `{name}` |" not in page(_PAGE)]


def test_agents_own_client_writes_where_the_test_says(files, tmp_path):
    """The fixture of the page moves the files of a client that the agent builds itself."""
    told = what_pytest_says(tmp_path, conftest=files["conftest.py"], test_agent=_AGENT_WITH_A_CLIENT_OF_ITS_OWN)

    assert "1 passed" in told
