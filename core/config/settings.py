"""List every setting once: its name, its variable, how it is read, and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from ...plugins.typed import EnvText, Unfit, read_flag, read_path, read_secret, read_text

__all__ = [
    "BASE_DIR_VARIABLES",
    "CONFIG_VARIABLE",
    "SETTINGS",
    "Redaction",
    "Setting",
    "pattern_fault",
    "read_redaction",
]

CONFIG_VARIABLE = "TELEMETRY_CONFIG"
BASE_DIR_VARIABLES = ("TELEMETRY_BASE_DIR", "AGENT_METRICS_DIR")

_URL = re.compile(r"https?://[^/\s?#]+\S*", re.IGNORECASE)
_MODES = ("mock", "live")


@frozen
class Setting:
    """
    One setting.

    `name` is the field of `TelemetryConfig` and the key in a file; `read` returns the value as that field holds it,
    or raises `Unfit`.
    """

    name: str
    variable: str
    read: Callable[[Any], Any]
    default: Any
    meaning: str


def _all_compile(instance: Redaction, attribute: Any, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        if reason := pattern_fault(pattern):
            raise Unfit(f"{pattern!r}: {reason}")


def pattern_fault(pattern: str) -> str | None:
    """Return why *pattern* is no regular expression, None when it is one."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"wanted a regular expression, and this is none: {error}"
    return None


@frozen
class Redaction:
    """
    How secrets are taken out of records.

    `keys` are further names of keys whose values are hidden, `patterns` further regular expressions whose matches
    are; both add to what the platform knows by itself.
    """

    enabled: bool = True
    keys: tuple[str, ...] = ()
    patterns: tuple[str, ...] = field(default=(), validator=_all_compile)


def _read_name(value: object) -> str:
    text = read_text(value).strip()
    if not text:
        raise Unfit("wanted text that is not empty")
    return text


def _read_url(value: object) -> str:
    text = read_text(value).strip()
    if not _URL.fullmatch(text):
        raise Unfit("wanted a URL that begins with http:// or https://")
    return text


def _read_mode(value: object) -> str:
    mode = read_text(value).strip().lower()
    if mode not in _MODES:
        raise Unfit("wanted 'mock' or 'live'")
    return mode


def _read_names(value: object) -> tuple[str, ...]:
    if isinstance(value, EnvText):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    if not isinstance(value, list | tuple | set | frozenset):
        raise Unfit("wanted a list of names")
    return tuple(_read_name(name) for name in value)


def read_redaction(value: object) -> Redaction:
    """
    Return *value*, a table or a `Redaction`, as a `Redaction`.

    Raises:
        ConfigError: something in the table does not fit.
        Unfit: it is no table.
    """
    from ...plugins.options import structure

    if isinstance(value, Redaction):
        return value
    if not isinstance(value, Mapping):
        raise Unfit("wanted a table")
    return structure(Redaction, value, path="redact", origin="argument")


_EVERY = (
    Setting(
        "database_path",
        "TELEMETRY_DB_PATH",
        read_path,
        None,
        "The SQLite file; without it `db/telemetry.sqlite` in the base directory.",
    ),
    Setting(
        "ndjson_dir",
        "TELEMETRY_NDJSON_DIR",
        read_path,
        None,
        "Where the journal lies; without it `raw` in the base directory.",
    ),
    Setting("api_url", "METRICS_API_URL", _read_url, None, "Where finished runs are posted to."),
    Setting("api_token", "METRICS_API_TOKEN", read_secret, None, "The bearer token for it; never shown."),
    Setting("api_enabled", "METRICS_API_ENABLED", read_flag, True, "`false` turns off every sink of type `api`."),
    Setting("agent_owner", "AGENT_OWNER", _read_name, None, "Who owns the agents; stands in runs that name no other."),
    Setting(
        "test_mode",
        "TELEMETRY_TEST_MODE",
        _read_mode,
        None,
        "`mock` or `live`, for tests; with `mock` no sink of type `api` is used.",
    ),
    Setting("skip_validation", "TELEMETRY_SKIP_VALIDATION", read_flag, False, "`true` makes `validate()` pass."),
    Setting("strict", "TELEMETRY_STRICT", read_flag, False, "`true` raises where else a warning is logged."),
    Setting("disabled", "TELEMETRY_DISABLED", read_flag, False, "`true` writes nothing at all; every call works."),
    Setting(
        "load_plugins",
        "TELEMETRY_LOAD_PLUGINS",
        _read_names,
        None,
        "The only plugins of other distributions that are loaded; without it all.",
    ),
    Setting("disable_plugins", "TELEMETRY_DISABLE_PLUGINS", _read_names, (), "Plugins that are never loaded."),
)
SETTINGS: Mapping[str, Setting] = MappingProxyType({setting.name: setting for setting in _EVERY})
"""All settings with a variable of their own, by name; base directory, sinks and redaction are read apart."""
