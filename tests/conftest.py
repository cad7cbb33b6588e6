"""Give every test an environment of its own, so that none sees or touches the telemetry of its user."""

import inspect
import os
from pathlib import Path

import hypothesis
import pytest

# Imported before pytest sets up the checkout's root, which it takes for a package named like its folder:
# where that is "telemetry", pytest would import the checkout in place of the installed wheel.
import telemetry  # noqa: F401

# Examples are slow when another test process has the core; a deadline would only find that.
hypothesis.settings.register_profile("telemetry", deadline=None, print_blob=True)
hypothesis.settings.load_profile("telemetry")

_OURS = ("TELEMETRY_", "METRICS_", "AGENT_")
_FOLDERS = {
    "HOME": "",
    "USERPROFILE": "",
    "APPDATA": "AppData/Roaming",
    "LOCALAPPDATA": "AppData/Local",
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_RUNTIME_DIR": ".run",
    "XDG_STATE_HOME": ".local/state",
}


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Remove our variables and move the home folder to an empty one, which is returned.

    It is not inside the test's `tmp_path`, which stays empty for the test.
    """
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)

    home = tmp_path_factory.mktemp("home")
    for name, folder in _FOLDERS.items():
        monkeypatch.setenv(name, str(home / folder))
    return home


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Leave out, while coverage measures, the tests that interrupt the main thread by a timer.

    coverage takes a lock that is not re-entrant when it meets a file (`Collector.lock_data`): a signal handler that
    calls code while the interrupted thread holds it hangs for ever. tox runs these tests on its other Pythons.
    """
    if not os.environ.get("COVERAGE_RUN"):
        return
    skip = pytest.mark.skip(reason="coverage's lock hangs a signal handler; run without coverage")
    for item in items:
        source = inspect.getsource(item.function) if isinstance(item, pytest.Function) else ""
        if "setitimer(" in source or "_interrupted(" in source:
            item.add_marker(skip)
