"""Hold the checked configuration of one client."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, fields, frozen

from ...plugins.errors import ConfigError
from ...plugins.options import told
from ...plugins.secret import Secret, masked
from .environment import environment_layer
from .layers import Layer
from .loading import (
    ARGUMENT_ORIGIN,
    ARGUMENTS,
    arguments_layer,
    completed,
    file_layer,
    laid_over,
    settled,
)
from .places import choose_base, is_usable
from .settings import DEFAULT_ORIGIN, SETTINGS, Redaction
from .sinks import SinkSpec, effective_sinks

__all__ = ["TelemetryConfig", "load_within"]


# Each converter only tells type checkers what may be passed; __attrs_post_init__ reads all at once, so that
# every fault is in one error.
def _path(value: str | os.PathLike[str] | None) -> Path:
    return value  # type: ignore[return-value]


def _secret(value: str | Secret | None) -> Secret | None:
    return value  # type: ignore[return-value]


def _names(value: Iterable[str]) -> tuple[str, ...]:
    return value  # type: ignore[return-value]


def _names_or_none(value: Iterable[str] | None) -> tuple[str, ...] | None:
    return value  # type: ignore[return-value]


def _redaction(value: Redaction | Mapping[str, Any] | None) -> Redaction:
    return value  # type: ignore[return-value]


def _specs(value: Iterable[SinkSpec] | Mapping[str, Mapping[str, Any]] | None) -> tuple[SinkSpec, ...] | None:
    return value  # type: ignore[return-value]


def _without_password(url: str | None) -> str:
    return repr(url and masked(url))


@frozen(kw_only=True)
class TelemetryConfig:
    """
    Where records go, and how.

    Built by keyword it takes what is passed and the defaults, and reads neither environment nor file; `load()` and
    `from_env()` do. What is not passed is derived: the database and the journal lie in `metrics_dir`, the base
    directory, and that is the grandparent of `database_path`, else the first usual directory that can be written.
    `sinks` are the sinks that are to run, after `api_enabled` and `test_mode` had their say. `origins` tells where
    each setting comes from; `faults` what was wrong with those that were left out.

    Raises:
        ConfigError: an argument does not fit; all faults at once.
    """

    metrics_dir: Path = field(default=None, converter=_path)
    database_path: Path = field(default=None, converter=_path)
    ndjson_dir: Path = field(default=None, converter=_path)
    api_url: str | None = field(default=None, repr=_without_password)
    api_token: Secret | None = field(default=None, converter=_secret)
    api_enabled: bool = True
    agent_owner: str | None = None
    test_mode: str | None = None
    skip_validation: bool = False
    strict: bool = False
    disabled: bool = False
    load_plugins: tuple[str, ...] | None = field(default=None, converter=_names_or_none)
    disable_plugins: tuple[str, ...] = field(default=(), converter=_names)
    redact: Redaction = field(default=None, converter=_redaction)
    named_sinks: tuple[SinkSpec, ...] | None = field(default=None, alias="sinks", converter=_specs)
    origins: Mapping[str, str] = field(factory=dict, repr=False, eq=False)
    faults: tuple[str, ...] = field(default=(), repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        layer = arguments_layer(self._given())
        if layer.faults:
            raise ConfigError(told(layer.faults), tuple(layer.faults))
        base, refusals = _base(layer)
        values = {"redact": Redaction()} | completed(layer.values, base)
        values["named_sinks"] = values.pop("sinks", None)
        values["origins"] = dict.fromkeys(ARGUMENTS, DEFAULT_ORIGIN) | {**(self.origins or layer.origins)}
        values["faults"] = (*self.faults, *refusals)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _given(self) -> dict[str, Any]:
        # By identity: 1 equals the default True, and is none.
        given = {
            attribute.alias: (getattr(self, attribute.name), attribute.default) for attribute in fields(type(self))
        }
        return {name: given[name][0] for name in ARGUMENTS if given[name][0] is not given[name][1]}

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, **arguments: Any) -> TelemetryConfig:
        """
        Return the configuration of defaults, file, environment and *arguments*; the later one wins.

        A setting that does not fit is left to the next source below and named in `faults`; a file that cannot be
        read counts as none.

        Args:
            path: a TOML file; without it TELEMETRY_CONFIG names one, or the usual places are searched.
            arguments: settings by the names of the fields; None counts as not given.

        Raises:
            ConfigError: there are faults, and strict mode is on.
        """
        environment = environment_layer(os.environ)
        return cls._of(file_layer(path, os.environ), environment, arguments_layer(arguments))

    @classmethod
    def from_env(cls) -> TelemetryConfig:
        """
        Return the configuration of defaults and environment, without any file; else as `load()`.

        Raises:
            ConfigError: there are faults, and strict mode is on.
        """
        return cls._of(environment_layer(os.environ))

    @classmethod
    def _of(cls, *layers: Layer) -> TelemetryConfig:
        return _checked(cls(**settled(layers)))

    def changed(self, **arguments: Any) -> TelemetryConfig:
        """
        Return a copy with *arguments* set; what is derived from them, such as the database's place, is derived anew.

        Raises:
            ConfigError: an argument does not fit or is unknown; all faults at once.
        """
        unknown = arguments_layer(dict.fromkeys(arguments)).faults
        if unknown:
            raise ConfigError(told(unknown), tuple(unknown))
        set_before = {name: value for name, value in self._given().items() if self.origins[name] != DEFAULT_ORIGIN}
        origins = laid_over(self.origins, dict.fromkeys(arguments, ARGUMENT_ORIGIN))
        return type(self)(**(set_before | arguments), origins=origins, faults=self.faults)

    @property
    def base_dir(self) -> Path:
        """The same as `metrics_dir`."""
        return self.metrics_dir

    @property
    def sinks(self) -> tuple[SinkSpec, ...]:
        """The sinks that are to run: those named, else ndjson, sqlite, and api when its URL and token are set."""
        uses_api = self.api_enabled and not self.is_mock_mode()
        return effective_sinks(self.named_sinks, self.api_url, self.api_token, uses_api)

    def validate(self, strict: bool = True) -> tuple[bool, list[str]]:
        """
        Return whether the configuration can be used, and what is wrong with it.

        Args:
            strict: False forgives everything but a directory that cannot be written.
        """
        if self.skip_validation:
            return True, []
        unwritable = self._unwritable()
        errors = [*self.faults, *unwritable, *self._half_api()]
        return not (errors if strict else unwritable), errors

    def _unwritable(self) -> list[str]:
        directories = {
            "metrics_dir": self.metrics_dir,
            "database_path": self.database_path.parent,
            "ndjson_dir": self.ndjson_dir,
        }
        return [
            f"{name} needs {os.fspath(directory)!r} (in {self.origins[name]}), which this user cannot write"
            for name, directory in directories.items()
            if not is_usable(directory)
        ]

    def _half_api(self) -> list[str]:
        if not self.api_enabled or self.named_sinks is not None or bool(self.api_url) == bool(self.api_token):
            return []
        there, missing = ("api_url", "api_token") if self.api_url else ("api_token", "api_url")
        variable = SETTINGS[missing].variable
        return [f"{there} is set (in {self.origins[there]}) but {missing} is not, so nothing is posted; set {variable}"]

    def is_test_mode(self) -> bool:
        """Tell whether a test mode is set, `mock` or `live`."""
        return self.test_mode is not None

    def is_mock_mode(self) -> bool:
        """Tell whether the test mode is `mock`: no sink of type `api` is used."""
        return self.test_mode == "mock"

    def is_live_mode(self) -> bool:
        """Tell whether the test mode is `live`: a test that means to post."""
        return self.test_mode == "live"


def _checked(config: TelemetryConfig) -> TelemetryConfig:
    if config.strict and config.faults:
        raise ConfigError(told(config.faults), config.faults)
    return config


def _base(layer: Layer) -> tuple[Path, list[str]]:
    # A base directory that was passed is kept even if it cannot be written: validate() tells.
    if layer.bases and layer.bases[0][1] == ARGUMENT_ORIGIN:
        return layer.bases[0][0], []
    base, _, refusals = choose_base(layer.bases)
    return base, refusals


def load_within(base_dir: Path, origin: str, path: str | os.PathLike[str] | None = None) -> TelemetryConfig:
    """
    Return what `TelemetryConfig.load()` does, with everything in *base_dir*, also where that may only be read.

    Where else it should lie, and whether that could be written, has no part in it.

    Raises:
        ConfigError: there are faults, and strict mode is on.
    """
    layers = (file_layer(path, os.environ), environment_layer(os.environ))
    return _checked(TelemetryConfig(**settled(layers, (base_dir, origin))))
