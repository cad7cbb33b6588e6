"""Prove that a sink that cannot be used is never passed over in silence, and is told of once."""

import importlib.machinery
import json
import sys
from pathlib import Path

import pytest

from telemetry import TelemetryClient

_WIRE = """
from attrs import define, frozen
from telemetry.plugins import ConfigError


@frozen
class Options:
    size: int = 1


@define(eq=False)
class Wire:
    Options = Options
    options: Options

    def __attrs_post_init__(self):
        raise ConfigError("libwire is not installed: pip install wire")

    @staticmethod
    def check_needs():
        raise ConfigError("libwire is not installed: pip install wire")

    def open_outbox(self, context):
        raise AssertionError("it was never built")
"""
_LOCAL = '[sinks.raw]\ntype = "ndjson"\n[sinks.db]\ntype = "sqlite"\n'
_REASON = "libwire is not installed: pip install wire"
_TRY = "try:   telemetry config check"


@pytest.fixture
def bench(real_bench, installed, tmp_path: Path, monkeypatch):
    """Return a bench whose set-up names two remote sinks: one lacks its library, one is of no installed type."""
    (tmp_path / "acme_wire.py").write_text(_WIRE, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed(name="wire", module="acme_wire", attribute="Wire")
    (tmp_path / "telemetry.toml").write_text(
        f'{_LOCAL}[sinks.fleet]\ntype = "wire"\n[sinks.lost]\ntype = "failures"\n', "utf-8"
    )
    return real_bench


def test_flush_names_what_cannot_be_used(bench):
    """Nothing can be delivered to it: each is named with its reason, and the exit code is 1."""
    answer = bench.run("outbox", "flush")

    fleet, lost = answer.out.splitlines()
    assert fleet.startswith("fleet: cannot be used: ")
    assert fleet.endswith(_REASON)
    assert lost.startswith("lost: cannot be used: ")
    assert "No sink type 'failures' is installed" in lost
    assert 1 == answer.code
    assert "warning:" not in answer.err


def test_status_lists_what_cannot_be_used(bench):
    """What it has still to deliver nobody can say; why is its trouble."""
    fleet, lost = json.loads(bench.run("outbox", "status", "--json").out)
    shown = bench.show("outbox", "status", width=300)

    assert ("fleet", None, None) == (fleet["sink"], fleet["pending"], fleet["dead"])
    assert fleet["trouble"].endswith(_REASON)
    assert ("lost", True) == (lost["sink"], "'failures'" in lost["trouble"])
    assert _REASON in shown.out
    assert "No remote sink" not in shown.err
    assert "warning:" not in shown.err


@pytest.mark.parametrize(
    "words", [("outbox", "dead", "fleet"), ("outbox", "retry", "fleet"), ("replay", "--into", "fleet")]
)
def test_who_asks_for_such_a_sink_hears_why(bench, words):
    """It is there, in the configuration; that it cannot be used is what is wrong."""
    answer = bench.run(*words)

    assert (4, "") == (answer.code, answer.out)
    assert 1 == answer.err.count("error: ")
    assert 1 == answer.err.count(_REASON)
    assert _TRY in answer.err


def test_a_list_of_dead_letters_says_whose_are_missing(bench):
    """Those of the others are listed."""
    answer = bench.run("outbox", "dead", "--json")

    assert (0, []) == (answer.code, json.loads(answer.out))
    assert 1 == answer.err.count(_REASON)
    assert 1 == answer.err.count("No sink type 'failures'")


def test_a_local_sink_is_none_to_deliver_to(real_bench, installed, tmp_path, monkeypatch):
    """What can be told by its class to keep what it gets is not named as undelivered."""
    (tmp_path / "acme_wire.py").write_text(_WIRE.replace("open_outbox", "open_nothing"), "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_wire", raising=False)
    installed(name="wire", module="acme_wire", attribute="Wire")
    (tmp_path / "telemetry.toml").write_text(f'{_LOCAL}[sinks.fleet]\ntype = "wire"\n', "utf-8")

    answer = real_bench.run("outbox", "flush")

    assert (0, "No remote sink is configured: there is nothing to deliver.\n") == (answer.code, answer.out)
    assert 1 == answer.err.count(_REASON)


def test_plugins_tell_which_library_is_missing(bench):
    """`ok` means that it can be used."""
    rows = {row["name"]: row for row in json.loads(bench.run("plugins", "--json").out)}

    assert ("library missing", True, _REASON) == tuple(rows["wire"][name] for name in ("state", "used", "detail"))
    assert "ok" == rows["api"]["state"]


@pytest.mark.parametrize(("kind", "module"), [("postgres", "psycopg"), ("otlp", "opentelemetry")])
def test_plugins_tell_which_extra_is_missing(real_bench, monkeypatch, kind, module):
    """Also where the configuration has no such sink: the next file may name one."""

    class Nothing(importlib.machinery.PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name.partition(".")[0] == module:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Nothing, *sys.meta_path])

    rows = {row["name"]: row for row in json.loads(real_bench.run("plugins", "--json").out)}
    doctor = json.loads(real_bench.run("doctor", "--json").out)

    assert ("library missing", False) == (rows[kind]["state"], rows[kind]["used"])
    assert f"pip install 'local-telemetry[{kind}]'" in rows[kind]["detail"]
    assert "plugins" not in [finding["area"] for finding in doctor]


@pytest.mark.parametrize("words", [("runs",), ("stats",), ("tail",), ("verify",), ("query", "SELECT 1"), ("backup",)])
def test_who_looks_is_warned_once(bench, words):
    """A sink that is left out, and one whose option is."""
    with TelemetryClient() as client, client.track_run("agent"):
        pass
    answer = bench.run(*words)

    assert 0 == answer.code
    assert 1 == answer.err.count("warning:")
    assert answer.err.startswith("warning: the sinks have 2 faults; sinks.fleet (in ")
    assert f"{_REASON}\n{_TRY}\n" in answer.err


@pytest.mark.parametrize("words", [("sinks",), ("doctor",), ("config", "check")])
def test_who_shows_faults_does_not_warn_of_them(bench, words):
    """They stand in the answer."""
    assert "warning:" not in bench.run(*words).err


def test_nothing_is_pruned_that_such_a_sink_may_not_have_had(bench):
    """Its cursor cannot be asked; --force goes past it."""
    journal = bench.base_dir / "raw" / "events_20200101.ndjson"
    journal.parent.mkdir(mode=0o700)
    journal.touch()
    words = ("prune", "--older-than", "90d")

    held = [bench.run(*words, *more) for more in ((), ("--dry-run",))]
    is_held = journal.exists()
    forced = bench.run(*words, "--force")

    assert [1, 1] == [answer.code for answer in held]
    assert all("nobody knows what has still to be delivered to fleet, lost" in answer.err for answer in held)
    assert (True, 0, False) == (is_held, forced.code, journal.exists())


def test_an_option_at_fault_is_warned_of(real_bench, tmp_path):
    """The sink works, but not as it was meant to."""
    (tmp_path / "telemetry.toml").write_text('[sinks.raw]\ntype = "ndjson"\nfoo = 1\n', "utf-8")

    answers = [
        real_bench.run(*words).err
        for words in (("runs",), ("outbox", "flush"), ("exec", "--agent", "a", "--", sys.executable, "-c", ""))
    ]

    assert [1] * 3 == [err.count("warning: sinks.raw.foo is no known option") for err in answers]
    assert [1] * 3 == [err.count("warning:") for err in answers]


def test_exec_warns_of_what_cannot_be_used(bench):
    """Once for each sink, before the command runs."""
    err = bench.run("exec", "--agent", "a", "--", sys.executable, "-c", "").err

    assert [1, 1] == [err.count(_REASON), err.count("No sink type 'failures'")]


def test_a_store_that_was_named_has_no_sinks(bench, tmp_path):
    """Those of the configuration have no part in the answer."""
    with TelemetryClient() as client, client.track_run("agent"):
        pass

    assert "warning:" not in bench.run("--store", str(bench.base_dir), "runs").err
