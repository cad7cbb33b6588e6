"""Say which sinks there are: those that are named, else the default ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from ...plugins.options import Place, origin_at
from ...plugins.secret import Secret
from ...plugins.typed import Unfit, read_text, shown

__all__ = ["API_TYPE", "SinkSpec", "effective_sinks", "read_sinks"]

API_TYPE = "api"
# A name becomes part of file names in the state directory.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
_NAME_RULE = "letters, digits, and _ . - between them, 64 at most"


def _names_of(options: Mapping[str, Any]) -> str:
    return f"<{', '.join(options)}>"


@frozen
class SinkSpec:
    """
    One sink as the configuration names it; its class is not loaded yet.

    `options` are plain values as they stand in a file. `is_typed` says that the platform set them itself, with the
    types that the sink wants; `left_out` names options that were set, but to a variable that is not there; `folder`
    is what relative paths among them start from, None for the working directory; `origins` are those of single keys,
    where they are known. repr and str only name the options, because the sink alone knows which are secret.
    """

    name: str
    type: str
    options: Mapping[str, Any] = field(factory=dict, repr=_names_of)
    origin: str = "default"
    is_typed: bool = field(default=False, repr=False)
    left_out: tuple[str, ...] = field(default=(), repr=False)
    folder: Path | None = field(default=None, repr=False)
    origins: Mapping[Place, str] = field(factory=dict, repr=False)

    def origin_of(self, *keys: str) -> str:
        """Return the origin of the option *keys*, as closely as it is known."""
        return origin_at(self.origin, self.origins, keys)


_DEFAULTS = (SinkSpec("ndjson", "ndjson", is_typed=True), SinkSpec("sqlite", "sqlite", is_typed=True))


def effective_sinks(
    named: tuple[SinkSpec, ...] | None, api_url: str | None, api_token: Secret | None, uses_api: bool
) -> tuple[SinkSpec, ...]:
    """Return the sinks that are to run: *named*, else the default ones; those of type `api` only with *uses_api*."""
    if named is None:
        has_api = uses_api and api_url and api_token
        return _DEFAULTS + ((_default_api(api_url, api_token),) if has_api else ())
    specs = [_with_url(spec, api_url, api_token) for spec in named]
    return tuple(spec for spec in specs if uses_api or spec.type != API_TYPE)


def _default_api(url: str | None, token: Secret | None) -> SinkSpec:
    return SinkSpec(API_TYPE, API_TYPE, {"url": url, "token": token}, is_typed=True)


def _with_url(spec: SinkSpec, url: str | None, token: Secret | None) -> SinkSpec:
    # The token of one API must never be sent to the URL of another, so not where the sink has a URL of its own.
    if spec.type != API_TYPE or url is None or "url" in (*spec.options, *spec.left_out):
        return spec
    own = {"url": url} if token is None else {"url": url, "token": token}
    return evolve(spec, options=own | {**spec.options})


def read_sinks(tables: object, origin_of: Callable[..., str]) -> tuple[tuple[SinkSpec, ...], list[str]]:
    """
    Return the sinks that *tables* names, in its order, and a sentence for each fault; a sink at fault is left out.

    Args:
        tables: mapping of names to tables as `{"type": "ndjson", "fsync": "never"}`, or several `SinkSpec`.
        origin_of: tells the origin of the sink with this name, or of a key in its table.

    Raises:
        Unfit: it is neither.
    """
    if not isinstance(tables, Mapping):
        return _ready_specs(tables), []
    specs, faults = [], []
    for name, table in tables.items():
        try:
            specs.append(_spec(str(name), table, partial(origin_of, name)))
        except Unfit as error:
            faults.append(str(error))
    return tuple(specs), faults


def _ready_specs(specs: object) -> tuple[SinkSpec, ...]:
    if not isinstance(specs, Iterable) or isinstance(specs, str):
        raise Unfit("wanted tables, each headed [sinks.NAME]")
    ready = tuple(specs)
    if not all(isinstance(spec, SinkSpec) for spec in ready):
        raise Unfit("wanted tables, each headed [sinks.NAME]")
    names = [spec.name for spec in ready]
    if len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
        raise Unfit(f"wanted names that differ, of {_NAME_RULE}")
    return ready


def _spec(name: str, table: object, origin_of: Callable[..., str]) -> SinkSpec:
    origin = origin_of()
    if not _NAME.fullmatch(name):
        raise Unfit(f"sinks.{name} (in {origin}) has a name that cannot be used; wanted {_NAME_RULE}")
    if not isinstance(table, Mapping):
        raise Unfit(f"sinks.{name} is {shown(name, table)} (in {origin}); wanted a table with a type")
    options = dict(table)
    kind = options.pop("type", name)
    if not isinstance(kind, str) or not kind.strip():
        wanted = "wanted the name of an installed sink type"
        raise Unfit(f"sinks.{name}.type is {shown('type', kind)} (in {origin_of('type')}); {wanted}")
    return SinkSpec(name, read_text(kind).strip(), options, origin)
