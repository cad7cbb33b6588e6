"""The conformance kit itself: what it asks of a sink's author, and how it says what is missing."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given

from telemetry.plugins import Record, decode_line, encode_line
from telemetry.sinks.memory import MemorySink
from telemetry.testing import SinkConformance, strategies

pytestmark = pytest.mark.once

_SINK = """
import pytest
from telemetry.sinks.memory import MemorySink
from telemetry.testing import SinkConformance


class TestSink(SinkConformance):
    is_durable = False

    def make_sink(self, tmp_path):
        return MemorySink()

    def read_back(self, sink, tmp_path):
        return list(sink.records)
"""


def pytest_on(folder: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run *code* as somebody's test module."""
    (folder / "test_theirs.py").write_text(code, "utf-8")
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def body(code: str) -> str:
    """Return *code* as further lines of the class above."""
    return _SINK + textwrap.indent(textwrap.dedent(code), "    ")


def test_contract_has_forty_tests():
    """At the least; with their variants there are more."""
    assert len(SinkConformance.tests_of_the_contract) >= 40


def test_every_contract_test_says_what_it_holds():
    """In the sentence that pytest shows with `--collect-only -v`."""
    silent = [name for name in SinkConformance.tests_of_the_contract if not getattr(SinkConformance, name).__doc__]

    assert [] == silent


def test_replacing_a_test_without_a_reason_fails_the_collection(tmp_path):
    """With a message that names class, test and cure."""
    done = pytest_on(tmp_path, body("def test_order_is_kept(self, driver):\n    pass\n"))

    assert 2 == done.returncode
    assert "TestSink.test_order_is_kept replaces a test of the sink contract" in done.stdout
    assert "@pytest.mark.xfail(reason=...)" in done.stdout


@pytest.mark.parametrize(
    "replacement",
    [
        "test_order_is_kept = None",
        "@pytest.mark.skip(reason='no time')\ndef test_order_is_kept(self, driver): ...",
        "@pytest.mark.xfail\ndef test_order_is_kept(self, driver): ...",
        "@pytest.mark.xfail(reason='')\ndef test_order_is_kept(self, driver): ...",
    ],
)
def test_nothing_but_a_reason_will_do(replacement):
    """Neither a skip nor an empty reason."""
    with pytest.raises(TypeError, match="test_order_is_kept replaces a test of the sink contract"):
        exec(body(replacement), {})


def test_reason_is_shown(tmp_path):
    """A part of the contract that a sink does not keep is an expected failure, with its reason."""
    replacement = """
    @pytest.mark.xfail(reason="the newest stands on top", strict=True)
    def test_order_is_kept(self, driver):
        driver.sink.records = Reversed()
        super().test_order_is_kept(driver)
    """
    reversing = "class Reversed(list):\n    def append(self, record):\n        self.insert(0, record)\n\n"

    done = pytest_on(tmp_path, reversing + body(replacement), "-rx", "-k", "order or comes_back")

    assert 0 == done.returncode, done.stdout
    assert "the newest stands on top" in done.stdout
    assert "1 xfailed" in done.stdout


def test_own_tests_stand_beside(tmp_path):
    """With the same fixtures."""
    own = "def test_mine(self, driver, base):\n    assert driver.base == base\n"

    done = pytest_on(tmp_path, body(own), "-k", "mine")

    assert "1 passed" in done.stdout


@pytest.mark.parametrize("missing", ["make_sink", "read_back"])
def test_what_is_missing_is_named(tmp_path, missing):
    """A class that does not say how its sink is made or read is told what to write."""
    done = pytest_on(tmp_path, _SINK.replace(f"def {missing}", f"def _{missing}"), "-k", "test_run_comes_back")

    assert "TestSink has to say how" in done.stdout
    assert f"def {missing}(self, " in done.stdout


def test_failure_shows_what_is_lost(tmp_path):
    """The first differences are listed with run, field and values."""
    forgetful = _SINK.replace("return list(sink.records)", "return [r for r in sink.records if r.seq != 2]")

    done = pytest_on(tmp_path, forgetful, "-k", "test_run_comes_back")

    assert "status is 'running', not 'success'" in done.stdout


def test_class_itself_is_no_test(tmp_path):
    """Its import into a test module brings no tests without a sink."""
    done = pytest_on(tmp_path, "from telemetry.testing import SinkConformance\n", "--collect-only")

    assert "no tests collected" in done.stdout


@given(strategies.records())
def test_strategies_build_what_a_journal_holds(record: Record):
    """Every record of every kind goes through a line and comes back."""
    assert record == decode_line(encode_line(record))


def test_misspelt_name_is_refused():
    """As in the face of the package."""
    import telemetry.testing

    assert {"SinkConformance", "strategies"} <= set(dir(telemetry.testing))
    with pytest.raises(AttributeError, match="has no attribute 'SinkConformnce'"):
        telemetry.testing.SinkConformnce  # noqa: B018


def test_sink_without_a_store_is_needed_for_nothing_else():
    """`read_back` of the kit reads a sink by its own store."""

    class Unreadable(SinkConformance):
        def make_sink(self, tmp_path):
            return MemorySink()

    with pytest.raises(NotImplementedError, match="Unreadable has to say how records are read"):
        list(Unreadable().read_back(MemorySink(), Path()))
