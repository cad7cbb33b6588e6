"""The fixtures for users' tests: what an agent recorded, at which time, in a place of its own."""

import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

import telemetry
from telemetry import TelemetryClient, TelemetryError, calculate_duration_ms, generate_run_id, get_iso8601_timestamp
from telemetry.core import run as shared
from telemetry.testing import FrozenClock


@telemetry.track("sorter", "hourly")
def sort_things():
    """Do what `@track` records."""
    return sorted([3, 1, 2])


def run_pytest(folder: Path, code: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run *code* as a test module of a user who has us installed, in a process of its own."""
    (folder / "test_theirs.py").write_text(textwrap.dedent(code), "utf-8")
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False
    )


def test_client_records_into_memory(telemetry_client, telemetry_memory, assert_run):
    """What is tracked is there, without a file."""
    with telemetry_client.track_run("crawler", "nightly") as context:
        context.log_event("page")
        context.set_metrics(items_succeeded=3, cost_usd=0.25)

    run = assert_run("crawler", items_succeeded=3, metrics={"cost_usd": 0.25}, events=["page"])
    assert [run.run_id] == list(telemetry_memory.runs)


def test_client_is_strict(telemetry_client):
    """What would be mended in production fails the test."""
    with pytest.raises(TelemetryError, match="trigger_type"):
        telemetry_client.start_run("crawler", "nightly", "by hand")


def test_decorated_functions_record_there_too(telemetry_client, assert_run):
    """`@track` goes to the client of the test."""
    sort_things()

    assert_run("sorter", "hourly")


def test_shared_client_is_put_back():
    """After the test the shared client is what it was before, also when the test fails."""
    before, mine = shared._shared, TelemetryClient(sinks={})

    def fail():
        with shared.sharing(mine):
            assert mine is shared.shared_client()
            raise RuntimeError("in the test")

    with pytest.raises(RuntimeError, match="in the test"):
        fail()

    assert before is shared._shared


def test_home_is_the_tests_own(telemetry_home):
    """A client that is built without arguments writes below it and posts nothing."""
    with TelemetryClient() as client, client.track_run("crawler"):
        pass

    assert telemetry_home == client.config.metrics_dir
    assert {"raw", "db"} <= {path.name for path in telemetry_home.iterdir()}


def test_home_ignores_the_users_settings(tmp_path: Path):
    """Variables and files that would send the records elsewhere have no say."""
    (tmp_path / "telemetry.toml").write_text('base_dir = "elsewhere"\n', "utf-8")
    code = """
        from telemetry import TelemetryClient

        def test_home(telemetry_home):
            with TelemetryClient() as client:
                assert client.config.metrics_dir == telemetry_home
                assert [] == client.status()["faults"]
                assert {"ndjson", "sqlite"} == set(client.status()["sinks"])
    """

    done = run_pytest(
        tmp_path, code, TELEMETRY_BASE_DIR="/nowhere", METRICS_API_URL="http://127.0.0.1:9", METRICS_API_TOKEN="x"
    )

    assert 0 == done.returncode, done.stdout


def test_clock_stands_still(telemetry_clock, telemetry_client, assert_run):
    """Times and durations are those that the test says."""
    with telemetry_client.track_run("crawler") as context:
        telemetry_clock.advance(2.5)
        with context.tool("fetch"):
            telemetry_clock.advance(0.25)

    run = assert_run("crawler", duration_ms=2750)
    assert ("2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:02.750000+00:00") == (run.start_time, run.end_time)
    assert run.run_id.startswith("20260101T000000Z-crawler-")


def test_tool_is_timed_by_the_clock(telemetry_clock, telemetry_client, telemetry_memory):
    """Durations inside of a run go by it as well."""
    with telemetry_client.track_run("crawler") as context, context.tool("fetch"):
        telemetry_clock.advance(0.25)

    assert 250 == telemetry_memory.events[-1].payload["duration_ms"]


def test_clock_that_is_set_back_gives_no_negative_duration(telemetry_clock, telemetry_client, assert_run):
    """An administrator's hand at the clock is not time that passed."""
    with telemetry_client.track_run("crawler"):
        telemetry_clock.advance(5)
        telemetry_clock.move_to("2025-01-01T00:00:00Z")

    assert 5000 == assert_run("crawler").duration_ms


@pytest.mark.parametrize("at", ["2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)])
def test_clock_starts_where_it_is_told(at):
    """As text or as a datetime; outside the block the true time is back."""
    with FrozenClock(at) as clock:
        inside = get_iso8601_timestamp(), generate_run_id("a")[:16], clock.now

    assert ("2026-02-03T04:05:06.000000+00:00", "20260203T040506Z", "2026-02-03T04:05:06.000000+00:00") == inside
    assert abs(calculate_duration_ms(get_iso8601_timestamp(), datetime.now(UTC).isoformat())) < 60_000


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda: FrozenClock(datetime(2026, 1, 1)), "has no time zone"),
        (lambda: FrozenClock("soon"), "is no ISO 8601 time"),
        (lambda: FrozenClock().advance(-1), "time only passes"),
    ],
)
def test_clock_refuses_what_is_no_time(act, told):
    """A wrong moment is named."""
    with pytest.raises(ValueError, match=told):
        act()


def test_clocks_nest():
    """The outer one is back after the inner one; leaving twice changes nothing."""
    with FrozenClock() as outer:
        inner = FrozenClock("2030-01-01T00:00:00Z")
        with inner:
            assert get_iso8601_timestamp().startswith("2030")
        inner.__exit__(None, None, None)
        assert outer.now == get_iso8601_timestamp()


def test_users_own_fixtures_win(tmp_path: Path):
    """A fixture of theirs that has one of our names is theirs."""
    code = """
        import pytest

        @pytest.fixture
        def assert_run():
            return "theirs"

        def test_name(assert_run):
            assert "theirs" == assert_run
    """

    done = run_pytest(tmp_path, code, "-W", "error")

    assert 0 == done.returncode, done.stdout


def test_who_uses_none_imports_nothing(tmp_path: Path):
    """The plugin costs two small modules; no attrs, no client, no sink is imported for it."""
    code = """
        import sys

        def test_modules():
            ours = {name for name in sys.modules if name.partition(".")[0] == "telemetry"}
            assert ours <= {"telemetry", "telemetry.testing", "telemetry.testing.plugin"}
            assert {"cattrs", "msgspec", "requests", "click", "hypothesis"}.isdisjoint(sys.modules)
    """

    done = run_pytest(tmp_path, code, "-W", "error", "-p", "no:hypothesispytest", "-p", "no:timeout")

    assert 0 == done.returncode, done.stdout
