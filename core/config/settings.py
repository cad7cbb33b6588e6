"""List every setting once: its name, its variable, how it is read, and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from ...plugins.typed import EnvText, Unfit, read_flag, read_path, read_secret, read_text

__all__ = [
    "BASE_DIR_MEANING",
    "BASE_DIR_VARIABLES",
    "CONFIG_VARIABLE",
    "DEFAULT_ORIGIN",
    "SETTINGS",
    "Redaction",
    "Setting",
    "pattern_fault",
    "read_redaction",
]

CONFIG_VARIABLE = "TELEMETRY_CONFIG"
DEFAULT_ORIGIN = "default"
BASE_DIR_VARIABLES = ("TELEMETRY_BASE_DIR", "AGENT_METRICS_DIR")
BASE_DIR_MEANING = "Where everything lies unless it is set otherwise."

_URL = re.compile(r"https?://[^/\s?#]+\S*", re.IGNORECASE)
_MODES = ("mock", "live")


@frozen(kw_only=True)
class Setting:
    """
    One setting.

    `name` is the field of `TelemetryConfig` and the key in a file; `read` returns the value as that field holds it,
    or raises `Unfit`; `example` is a value as it stands in a file.
    """

    name: str
    variable: str
    read: Callable[[Any], Any]
    default: Any = None
    example: str
    meaning: str


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


_EVERY = (
    Setting(
        name="database_path",
        variable="TELEMETRY_DB_PATH",
        read=read_path,
        example='"~/.telemetry/db/telemetry.sqlite"',
        meaning="The SQLite file; without it `db/telemetry.sqlite` in the base directory.",
    ),
    Setting(
        name="ndjson_dir",
        variable="TELEMETRY_NDJSON_DIR",
        read=read_path,
        example='"~/.telemetry/raw"',
        meaning="Where the journal lies; without it `raw` in the base directory.",
    ),
    Setting(
        name="api_url",
        variable="METRICS_API_URL",
        read=_read_url,
        example='"https://hq.example/v1/records"',
        meaning="Where runs are posted to, once a token is set too.",
    ),
    Setting(
        name="api_token",
        variable="METRICS_API_TOKEN",
        read=read_secret,
        example='"${HQ_TOKEN}"',
        meaning="The bearer token for it; never shown.",
    ),
    Setting(
        name="api_enabled",
        variable="METRICS_API_ENABLED",
        read=read_flag,
        default=True,
        example="true",
        meaning="`false` turns off every sink of type `api`.",
    ),
    Setting(
        name="agent_owner",
        variable="AGENT_OWNER",
        read=_read_name,
        example='"platform team"',
        meaning="Who owns the agents; stands in each run that names no other.",
    ),
    Setting(
        name="test_mode",
        variable="TELEMETRY_TEST_MODE",
        read=_read_mode,
        example='"mock"',
        meaning="`mock` or `live`, for tests; with `mock` no sink of type `api` is used.",
    ),
    Setting(
        name="skip_validation",
        variable="TELEMETRY_SKIP_VALIDATION",
        read=read_flag,
        default=False,
        example="false",
        meaning="`true` makes `TelemetryConfig.validate()` find nothing.",
    ),
    Setting(
        name="strict",
        variable="TELEMETRY_STRICT",
        read=read_flag,
        default=False,
        example="false",
        meaning="`true` raises a `TelemetryError` where otherwise a warning is logged; for tests.",
    ),
    Setting(
        name="disabled",
        variable="TELEMETRY_DISABLED",
        read=read_flag,
        default=False,
        example="false",
        meaning="`true` writes nothing at all, and every call works.",
    ),
    Setting(
        name="load_plugins",
        variable="TELEMETRY_LOAD_PLUGINS",
        read=_read_names,
        example='["slack", "parquet"]',
        meaning="The only plugins of other distributions that are loaded; without it all of them.",
    ),
    Setting(
        name="disable_plugins",
        variable="TELEMETRY_DISABLE_PLUGINS",
        read=_read_names,
        default=(),
        example='["slack"]',
        meaning="Plugins that are never loaded.",
    ),
)
SETTINGS: Mapping[str, Setting] = MappingProxyType({setting.name: setting for setting in _EVERY})
"""All settings with a variable of their own, by name; base directory, sinks and redaction are read apart."""


def pattern_fault(pattern: str) -> str | None:
    """Return why *pattern* is no regular expression, None when it is one."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"wanted a regular expression, and this is none: {error}"
    return None


def _all_compile(instance: Redaction, attribute: Any, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        if reason := pattern_fault(pattern):
            raise Unfit(f"{pattern!r}: {reason}")


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
