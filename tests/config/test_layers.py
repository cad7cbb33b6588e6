"""Prove the order of the sources, and what a configuration built by keyword does."""

import json
import os
import pickle
import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import TelemetryConfig
from telemetry.core.config import Redaction, SinkSpec
from telemetry.core.config.effective import effective_values
from telemetry.core.config.settings import SETTINGS
from telemetry.plugins import ConfigError

# Three values for each setting: in the file, in the environment, as an argument.
_TEMPORARY = tempfile.gettempdir()
VALUES = {
    "database_path": [Path(_TEMPORARY, name, "db", "t.sqlite") for name in ("file", "environment", "argument")],
    "ndjson_dir": [Path(_TEMPORARY, name) for name in ("file", "environment", "argument")],
    "agent_owner": ("file", "environment", "argument"),
    "api_url": ("http://file", "https://environment", "http://argument"),
    "api_token": ("f", "e", "a"),
    "api_enabled": (False, True, False),
    "test_mode": ("live", "mock", "live"),
    "skip_validation": (True, False, True),
    "disabled": (True, False, True),
    "load_plugins": (["f"], ["e", "e2"], ["a"]),
    "disable_plugins": (["f"], ["e"], ["a", "a2"]),
}
LAYERS = ("file", "environment", "argument")


def in_environment(value: object) -> str:
    """Return *value* as somebody writes it into a variable."""
    return ",".join(value) if isinstance(value, list) else str(value)


@given(st.dictionaries(st.sampled_from(sorted(VALUES)), st.sets(st.sampled_from(LAYERS))))
def test_the_later_source_wins(chosen):
    """Whatever sources set whatever settings: each has the value of the last one, and says which that was."""
    given_in = {layer: {n: VALUES[n][i] for n, in_ in chosen.items() if layer in in_} for i, layer in enumerate(LAYERS)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given_in["environment"].items():
            patch.setenv(SETTINGS[name].variable, in_environment(value))
        lines = [f"{name} = {json.dumps(value, default=str)}" for name, value in given_in["file"].items()]
        file = Path("order.toml")
        file.write_text("\n".join(lines), "utf-8")

        config = TelemetryConfig.load(file, **given_in["argument"])

    assert () == config.faults
    untouched = TelemetryConfig(metrics_dir=config.metrics_dir)
    for name, setting in SETTINGS.items():
        winner = max((LAYERS.index(layer) for layer in chosen.get(name, ())), default=None)
        expected = getattr(untouched, name) if winner is None else VALUES[name][winner]
        assert (tuple(expected) if isinstance(expected, list) else expected) == getattr(config, name)
        origin = {None: "default", 0: str(file.absolute()), 1: setting.variable, 2: "argument"}[winner]
        assert config.origins[name].startswith(origin)


def test_fault_in_one_source_leaves_the_one_below(write, monkeypatch):
    """A wrong variable does not hide what the file says."""
    write("api_enabled = false")
    monkeypatch.setenv("METRICS_API_ENABLED", "maybe")

    config = TelemetryConfig.load(disabled="no")

    assert (False, False) == (config.api_enabled, config.disabled)
    assert (
        "METRICS_API_ENABLED is 'maybe' (in the environment); wanted true or false",
        "disabled is 'no' (in argument); wanted true or false",
    ) == config.faults


def test_keyword_configuration_reads_nothing_else(write, monkeypatch, folder):
    """What is not passed is the default, whatever environment and files say."""
    write('agent_owner = "file"')
    monkeypatch.setenv("METRICS_API_URL", "http://environment")

    config = TelemetryConfig(metrics_dir=folder / "base")

    assert (None, None) == (config.agent_owner, config.api_url)
    assert folder / "base/db/telemetry.sqlite" == config.database_path
    assert folder / "base/raw" == config.ndjson_dir
    assert folder / "base" == config.base_dir
    assert ("argument", "default") == (config.origins["metrics_dir"], config.origins["database_path"])


def test_keyword_configuration_takes_every_field(folder):
    """All fields of the contract, with the types that people pass."""
    config = TelemetryConfig(
        metrics_dir=str(folder),
        database_path="my.sqlite",
        ndjson_dir=folder / "lines",
        api_url="https://hq.example",
        api_token="t0ken",
        api_enabled=False,
        agent_owner="me",
        test_mode="live",
        skip_validation=True,
        strict=True,
        disabled=True,
        load_plugins=["x"],
        disable_plugins={"y"},
        redact={"keys": ["customer"]},
        sinks={"raw": {"type": "ndjson", "fsync": "never"}},
    )

    assert (folder, folder / "my.sqlite") == (config.metrics_dir, config.database_path)
    assert (("x",), ("y",)) == (config.load_plugins, config.disable_plugins)
    assert Redaction(keys=("customer",)) == config.redact
    assert (SinkSpec("raw", "ndjson", {"fsync": "never"}, "argument"),) == config.sinks
    assert {"argument"} == set(config.origins.values())
    assert () == config.faults


def test_faults_of_arguments_come_all_at_once():
    """A program that passes nonsense learns all of it in one error; a token in it is not shown."""
    with pytest.raises(ConfigError) as raised:
        TelemetryConfig(
            metrics_dir=5,
            api_enabled=1,
            api_token=12345,
            test_mode="mok",
            redact={"enabled": "no", "key": 1},
            sinks={"a": {"type": 5}},
            database_path="\0",
        )

    assert {
        "metrics_dir is 5 (in argument); wanted a path",
        "api_enabled is 1 (in argument); wanted true or false",
        "api_token is *** (in argument); wanted text",
        "test_mode is 'mok' (in argument); wanted 'mock' or 'live'",
        "redact.enabled is 'no' (in argument); wanted true or false",
        "redact.key is no known option (in argument); did you mean 'keys'? Known are enabled, keys, patterns",
        "sinks.a.type is 5 (in argument); wanted the name of an installed sink type",
        r"database_path is '\x00' (in argument); wanted a path, neither empty nor with a NUL in it",
    } == set(raised.value.faults)


@pytest.mark.parametrize(
    ("argument", "fault"),
    [
        ({"redact": 5}, "redact is 5 (in argument); wanted a table"),
        ({"redact": {"patterns": ["("]}}, "redact.patterns is a list (in argument); '(': wanted a regular expression"),
        ({"sinks": "ndjson"}, "sinks is 'ndjson' (in argument); wanted tables, each headed [sinks.NAME]"),
        ({"sinks": ["ndjson"]}, "sinks is a list (in argument); wanted tables, each headed [sinks.NAME]"),
        (
            {"sinks": [SinkSpec("a", "x"), SinkSpec("a", "y")]},
            "sinks is a list (in argument); wanted names that differ",
        ),
        ({"sinks": [SinkSpec("../a", "x")]}, "sinks is a list (in argument); wanted names that differ"),
        ({"disable_plugins": ["  "]}, "disable_plugins is a list (in argument); wanted text that is not empty"),
        ({"metrics_dir": b"bytes"}, "metrics_dir is of type bytes (in argument); wanted a path"),
    ],
)
def test_wrong_argument(argument, fault):
    """Each wrong argument is named with its place."""
    with pytest.raises(ConfigError) as raised:
        TelemetryConfig(**argument)

    assert str(raised.value).startswith(fault)


def test_unknown_argument_of_load():
    """`load()` names an argument that it does not know, and goes on."""
    config = TelemetryConfig.load(metric_dir="/x")

    assert ("metric_dir is no known setting (in an argument); did you mean 'metrics_dir'?",) == config.faults


def test_copies_keep_the_value(folder, write):
    """A configuration can be sent to another process, compared, and changed by `attrs.evolve()`."""
    write('[sinks.hq]\ntype = "api"\ntoken = "${TOKEN:-t0ken}"\n')
    config = TelemetryConfig.load(metrics_dir=folder, api_token="t0ken")

    copy = pickle.loads(pickle.dumps(config))

    assert config == copy
    assert "'${TOKEN:-t0ken}'" == repr(copy.sinks[0].options["token"])
    assert "t0ken" == copy.api_token.reveal()
    assert attrs.evolve(config, disabled=True).disabled
    assert config != attrs.evolve(config, disabled=True)


def test_changed_copy(folder, write):
    """What was set stays, what was derived follows, and the change is an argument."""
    path = write('base_dir = "old"\nagent_owner = "me"\nndjson_dir = "lines"\nnope = 1\n[sinks.raw]\ntype = "ndjson"\n')
    config = TelemetryConfig.load()

    changed = config.changed(metrics_dir=folder / "new", disabled=True)

    assert (folder / "new", folder / "new/db/telemetry.sqlite") == (changed.metrics_dir, changed.database_path)
    assert (folder / "lines", "me", True) == (changed.ndjson_dir, changed.agent_owner, changed.disabled)
    assert ("argument", f"{path}:2") == (changed.origins["metrics_dir"], changed.origins["agent_owner"])
    assert (config.sinks, config.faults) == (changed.sinks, changed.faults)
    with pytest.raises(ConfigError, match=r"^metric_dir is no known setting .* did you mean 'metrics_dir'\?$"):
        config.changed(metric_dir="x")
    with pytest.raises(ConfigError, match=r"^disabled is 'no' \(in argument\); wanted true or false$"):
        config.changed(disabled="no")


class TestSinks:
    """Which sinks run."""

    API = {"api_url": "https://hq.example", "api_token": "t0ken"}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("settings", "types"),
        [
            ({}, ["ndjson", "sqlite"]),
            ({"api_url": "https://hq.example"}, ["ndjson", "sqlite"]),
            ({"api_token": "t0ken"}, ["ndjson", "sqlite"]),
            (API, ["ndjson", "sqlite", "api"]),
            ({**API, "api_enabled": False}, ["ndjson", "sqlite"]),
            ({**API, "test_mode": "mock"}, ["ndjson", "sqlite"]),
            ({**API, "test_mode": "live"}, ["ndjson", "sqlite", "api"]),
            ({"sinks": ()}, []),
        ],
    )
    def test_default_set(self, settings, types):
        """ndjson and sqlite, and api when its URL and token are set and nobody turned it off."""
        assert types == [spec.type for spec in TelemetryConfig(**settings).sinks]

    @pytest.mark.parametrize("off", [{"api_enabled": False}, {"test_mode": "mock"}])
    def test_named_sinks_replace_the_default_set(self, write, off):
        """A file that names sinks has just these; every one of type api is left out where api is off."""
        write('[sinks.hq]\ntype = "api"\nurl = "https://x"\n[sinks.raw]\n type = "ndjson"\n[sinks.two]\ntype = "api"\n')

        assert ["hq", "raw", "two"] == [spec.name for spec in TelemetryConfig.load(**self.API).sinks]
        assert ["raw"] == [spec.name for spec in TelemetryConfig.load(**self.API, **off).sinks]

    def test_type_may_be_the_name(self, write):
        """`[sinks.ndjson]` needs no type."""
        write("[sinks.ndjson]\n")

        assert [("ndjson", "ndjson")] == [(spec.name, spec.type) for spec in TelemetryConfig.load().sinks]

    def test_api_sink_without_url_takes_the_settings(self):
        """An api sink that names no URL posts to the one that is set, with its token."""
        [spec] = TelemetryConfig(**self.API, sinks={"hq": {"type": "api", "timeout_s": 3}}).sinks

        assert {"url": "https://hq.example", "token": "t0ken", "timeout_s": 3} == spec.options

    def test_api_sink_without_url_keeps_its_token(self):
        """A token that the sink names itself is not replaced, and none is made up."""
        [own] = TelemetryConfig(**self.API, sinks={"hq": {"type": "api", "token": "own"}}).sinks
        [bare] = TelemetryConfig(api_url="http://x", sinks={"hq": {"type": "api"}}).sinks

        assert {"url": "https://hq.example", "token": "own"} == own.options
        assert {"url": "http://x"} == bare.options

    def test_tokens_stay_with_their_url(self, write):
        """The token of the settings never goes to a sink's own URL, nor a sink's token to the URL of the settings."""
        write('[sinks.a]\ntype = "api"\nurl = "https://a"\n[sinks.b]\ntype = "api"\nurl = "${MISSING}"\ntoken = "b"\n')

        a, b = TelemetryConfig.load(**self.API).sinks

        assert {"url": "https://a"} == a.options
        assert {"token": "b"} == b.options


class TestValidate:
    """What `validate()` says."""

    def test_all_well(self, folder):
        """A directory that is still to be made is fine."""
        assert (True, []) == TelemetryConfig(metrics_dir=folder / "not/there/yet").validate()

    def test_faults_count_in_strict_validation_only(self, monkeypatch):
        """Settings that were left out are errors, which a lenient validation forgives."""
        monkeypatch.setenv("METRICS_API_ENABLED", "maybe")
        config = TelemetryConfig.load()

        assert (False, list(config.faults)) == config.validate()
        assert (True, list(config.faults)) == config.validate(strict=False)

    @pytest.mark.parametrize(
        ("there", "missing", "variable"),
        [("api_url", "api_token", "METRICS_API_TOKEN"), ("api_token", "api_url", "METRICS_API_URL")],
    )
    def test_half_an_api(self, there, missing, variable):
        """A URL without a token, or the other way round, posts nothing, and that is said."""
        config = TelemetryConfig(**{there: TestSinks.API[there]})

        expected = f"{there} is set (in argument) but {missing} is not, so nothing is posted; set {variable}"
        assert (False, [expected]) == config.validate()
        assert (True, []) == attrs.evolve(config, api_enabled=False).validate()

    def test_directories_that_cannot_be_written(self, folder):
        """Each is named, and no leniency helps."""
        (folder / "file").write_text("", "utf-8")
        config = TelemetryConfig(metrics_dir=folder / "file/base", ndjson_dir=folder / "raw")

        ok, errors = config.validate(strict=False)

        assert not ok
        assert [
            f"metrics_dir needs {str(folder / 'file/base')!r} (in argument), which this user cannot write",
            f"database_path needs {str(folder / 'file/base/db')!r} (in default), which this user cannot write",
        ] == errors
        assert (True, []) == attrs.evolve(config, skip_validation=True).validate()


def test_effective_values(write, monkeypatch, folder):
    """Every setting and every option of a sink, as text with its origin."""
    path = write(
        'base_dir = "data"\ndisable_plugins = ["a", "b"]\n[sinks.db]\ntype = "sqlite"\n'
        "retry = { delays_s = [0.1, 1] }\nlazy = true\nnothing = []\n"
    )
    monkeypatch.setenv("AGENT_OWNER", "me")

    rows = {row.name: (row.value, row.origin) for row in effective_values(TelemetryConfig.load(strict=True))}

    assert (os.fspath(folder / "data"), f"{path}:1") == rows["base_dir"]
    assert (os.fspath(folder / "data/raw"), "default") == rows["ndjson_dir"]
    assert ("me", "AGENT_OWNER") == rows["agent_owner"]
    assert ("true", "argument") == rows["strict"]
    assert ("a, b", f"{path}:2") == rows["disable_plugins"]
    assert ("", "default") == rows["api_url"] == rows["api_token"]
    assert ("true", "default") == rows["redact.enabled"]
    assert ("sqlite", f"{path}:4") == rows["sinks.db.type"]
    assert ("0.1, 1", f"{path}:5") == rows["sinks.db.retry.delays_s"]
    assert (("true", f"{path}:6"), ("", f"{path}:7")) == (rows["sinks.db.lazy"], rows["sinks.db.nothing"])
    assert {"base_dir", *SETTINGS} <= rows.keys()


def test_origins_of_redaction(write):
    """Each key has its line; one that is not set or refused is the default; set by an argument, none is of the file."""
    path = write('[redact]\n\nkeys = ["a"]\nenabled = "yes"\n')
    config = TelemetryConfig.load()

    rows = {row.name: row.origin for row in effective_values(config)}
    changed = {row.name: row.origin for row in effective_values(config.changed(redact={"keys": ["b"]}))}
    passed = {row.name: row.origin for row in effective_values(TelemetryConfig.load(redact={"keys": ["b"]}))}

    names = [f"redact.{name}" for name in ("keys", "enabled", "patterns")]
    assert [f"{path}:3", "default", "default"] == [rows[name] for name in names]
    assert ["argument"] * 3 == [changed[name] for name in names] == [passed[name] for name in names]
