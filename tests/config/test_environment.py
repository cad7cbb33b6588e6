"""Prove that each environment variable does what its row in the reference says."""

import os
from pathlib import Path

import pytest

from telemetry import TelemetryConfig

VARIABLES = {
    "TELEMETRY_DB_PATH": ("/data/here/db/my.sqlite", "database_path", Path("/data/here/db/my.sqlite")),
    "TELEMETRY_NDJSON_DIR": ("/data/here/lines", "ndjson_dir", Path("/data/here/lines")),
    "METRICS_API_URL": (" https://hq.example/v1 ", "api_url", "https://hq.example/v1"),
    "METRICS_API_TOKEN": ("t0ken", "api_token", "t0ken"),
    "METRICS_API_ENABLED": ("no", "api_enabled", False),
    "AGENT_OWNER": ("the team", "agent_owner", "the team"),
    "TELEMETRY_TEST_MODE": ("MOCK", "test_mode", "mock"),
    "TELEMETRY_SKIP_VALIDATION": ("1", "skip_validation", True),
    "TELEMETRY_STRICT": ("yes", "strict", True),
    "TELEMETRY_DISABLED": ("on", "disabled", True),
    "TELEMETRY_LOAD_PLUGINS": ("slack, ,parquet", "load_plugins", ("slack", "parquet")),
    "TELEMETRY_DISABLE_PLUGINS": ("slack", "disable_plugins", ("slack",)),
}


@pytest.fixture(autouse=True)
def writable_anywhere(monkeypatch, folder):
    """Move `/data` into the test's own folder."""
    for name, (text, field, value) in VARIABLES.items():
        if text.startswith("/data"):
            moved = str(folder) + text
            monkeypatch.setitem(VARIABLES, name, (moved, field, type(value)(moved)))


@pytest.mark.parametrize("variable", VARIABLES)
def test_variable_sets_its_field(variable, monkeypatch):
    """The text of the variable is read as the field's type, and the variable is the field's origin."""
    text, field, value = VARIABLES[variable]
    monkeypatch.setenv(variable, text)

    config = TelemetryConfig.from_env()

    assert value == getattr(config, field)
    assert variable == config.origins[field]
    assert () == config.faults


@pytest.mark.parametrize("variable", VARIABLES)
def test_empty_variable_counts_as_not_set(variable, monkeypatch):
    """`VARIABLE=` and one of blanks leave the default."""
    monkeypatch.setenv(variable, "  ")

    assert TelemetryConfig() == TelemetryConfig.from_env()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("METRICS_API_ENABLED", "maybe"),
        ("TELEMETRY_STRICT", "2"),
        ("TELEMETRY_DISABLED", "nein"),
        ("TELEMETRY_SKIP_VALIDATION", "10"),
        ("TELEMETRY_TEST_MODE", "mok"),
        ("METRICS_API_URL", "ftp://hq.example"),
        ("METRICS_API_URL", "https://"),
        ("TELEMETRY_NDJSON_DIR", "~nobody-of-this-name/x"),
    ],
)
def test_wrong_text_is_a_fault_and_changes_nothing(variable, text, monkeypatch):
    """A value that does not fit is named with its variable, and the default is taken."""
    monkeypatch.setenv(variable, text)

    config = TelemetryConfig.load()

    [fault] = config.faults
    assert fault.startswith(f"{variable} is {text!r} (in the environment); wanted ")
    assert TelemetryConfig() == config


@pytest.mark.parametrize("word", ["true", "True", "1", "yes", "ON", " on "])
def test_words_for_true(word, monkeypatch):
    """These words switch a flag on."""
    monkeypatch.setenv("TELEMETRY_DISABLED", word)

    assert TelemetryConfig.from_env().disabled is True


@pytest.mark.parametrize("word", ["false", "False", "0", "no", "OFF"])
def test_words_for_false(word, monkeypatch):
    """These words switch a flag off."""
    monkeypatch.setenv("METRICS_API_ENABLED", word)

    assert TelemetryConfig.from_env().api_enabled is False


@pytest.mark.parametrize(
    ("mode", "is_mock", "is_live"), [(None, False, False), ("mock", True, False), ("live", False, True)]
)
def test_test_modes(mode, is_mock, is_live):
    """A test mode is mock or live; without one the configuration is no test's."""
    config = TelemetryConfig(test_mode=mode)

    assert (mode is not None, is_mock, is_live) == (
        config.is_test_mode(),
        config.is_mock_mode(),
        config.is_live_mode(),
    )


def test_file_is_not_read_from_env_alone(write, monkeypatch):
    """`from_env()` reads no file, not even the one that TELEMETRY_CONFIG names."""
    monkeypatch.setenv("TELEMETRY_CONFIG", str(write('agent_owner = "file"')))

    assert TelemetryConfig.from_env().agent_owner is None
    assert "file" == TelemetryConfig.load().agent_owner


def test_strict_mode_raises_all_faults(monkeypatch):
    """In strict mode a wrong environment raises, with every fault in one error."""
    monkeypatch.setenv("TELEMETRY_STRICT", "1")
    monkeypatch.setenv("METRICS_API_ENABLED", "maybe")
    monkeypatch.setenv("METRICS_API_URL", "hq")

    from telemetry.plugins import ConfigError

    with pytest.raises(ConfigError) as raised:
        TelemetryConfig.load()

    assert 2 == len(raised.value.faults)
    assert str(raised.value).startswith("2 settings are wrong:\n- METRICS_API_URL is 'hq'")


def test_home_is_put_in(monkeypatch, isolated_environment):
    """`~` in a path is the user's home directory."""
    monkeypatch.setenv("TELEMETRY_BASE_DIR", "~/telemetry data")

    assert isolated_environment / "telemetry data" == TelemetryConfig.from_env().metrics_dir


def test_relative_path_is_made_absolute(monkeypatch, folder):
    """An agent that changes its directory later keeps writing to the same place."""
    monkeypatch.setenv("TELEMETRY_BASE_DIR", "here")

    config = TelemetryConfig.from_env()
    os.chdir("/")

    assert folder / "here" == config.metrics_dir
