"""Open a store for reading alone: for scripts, notebooks and the command line, with no client and nothing recorded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ..plugins.context import SinkContext
from ..plugins.discovery import installed_sink_types, load_sink_type
from ..plugins.errors import StoreError
from ..plugins.store import RunStore
from .config import TelemetryConfig
from .readable import first_store
from .wiring import build_sinks, context_for

__all__ = ["open_store"]

_DATABASE = Path("db", "telemetry.sqlite")
_JOURNAL = "raw"
_JOURNAL_FILES = "events_*.ndjson*"
_CURE = "name a base directory, a database or a journal folder"
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://")
_OTHER_NAMES = {"postgresql": "postgres"}


def open_store(path: str | os.PathLike[str] | None = None) -> RunStore:
    """
    Return the store at *path*, caught up with its journal at each call; `close()` it in the end.

    Args:
        path: a base directory, a database file, a folder of journal files, or the URL of a database that a sink type
            reads (`postgresql://hq.example/telemetry`); None for the configured set-up.

    Raises:
        StoreError: there is no store, or it cannot be read.
        ConfigError: *path* is None and the configuration is broken in strict mode.
        MissingExtra: the sink type that reads such URLs lacks a library.
        PluginError: that sink type is broken.
    """
    if path is None:
        return _configured(TelemetryConfig.load())
    if isinstance(path, str) and (url := _URL.match(path)) is not None:
        return _behind_url(path, url[1])
    place = Path(path).expanduser().absolute()
    if place.is_dir():
        return _in_folder(place)
    if not place.exists():
        raise StoreError(f"there is no store at {str(place)!r}", _CURE, is_absent=True)
    if place.match(_JOURNAL_FILES):
        raise StoreError(f"{str(place)!r} is one file of a journal", f"name its folder: {place.parent}")
    # Only the database of a base directory follows a journal: one that was copied elsewhere is read as it is.
    base = place.parent.parent
    has_journal = base / _DATABASE == place and _has_journal(base / _JOURNAL)
    return _opened("sqlite", place.parent, database=place, journal=base / _JOURNAL if has_journal else None)


def _behind_url(url: str, scheme: str) -> RunStore:
    kind = _OTHER_NAMES.get(scheme, scheme)
    is_known = any(entry.name == kind for entry in installed_sink_types())
    cls: Any = load_sink_type(kind).cls if is_known else None
    if not hasattr(cls, "open_url"):
        raise StoreError(f"no sink type reads a store behind {scheme}://", "name a path, or a postgres:// URL")
    store: RunStore = cls.open_url(url)
    return store


def _in_folder(folder: Path) -> RunStore:
    if _has_journal(folder):
        return _opened("ndjson", folder, journal=folder)
    database, journal = folder / _DATABASE, folder / _JOURNAL
    if database.parent.is_dir():
        return _opened("sqlite", folder, database=database, journal=journal)
    if _has_journal(journal):
        return _opened("ndjson", folder, journal=journal)
    raise StoreError(
        f"{str(folder)!r} holds no store: neither {_DATABASE} nor {_JOURNAL}/{_JOURNAL_FILES}, and no journal files",
        _CURE,
    )


def _has_journal(folder: Path) -> bool:
    return next(folder.glob(_JOURNAL_FILES), None) is not None


def _opened(kind: str, base: Path, *, database: Path | None = None, journal: Path | None) -> RunStore:
    """Return what the sink type *kind* makes of these places."""
    context = SinkContext(
        sink_name=kind,
        base_dir=base,
        ndjson_dir=journal or base / _JOURNAL,
        journal_dir=journal,
        database_path=database or base / _DATABASE,
        writer="reader",
        is_read_only=True,
    )
    store: RunStore = load_sink_type(kind).cls().open_store(context)
    return store


def _configured(config: TelemetryConfig) -> RunStore:
    sinks, found = build_sinks(config)
    faults = [fault for several in found.values() for fault in several]
    journal = next((sink for sink in sinks.values() if hasattr(sink, "journal_directory")), None)
    return first_store(sinks, {name: context_for(config, name, journal) for name in sinks}, faults)
