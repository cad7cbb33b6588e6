"""Measure the memory that an agent pays for a million events, whatever the API does."""

from __future__ import annotations

from pathlib import Path

from harness.figures import Figure, Section, Table
from harness.setting import Setting

from .api import server
from .children import answer_of

_EVENTS = 1_000_000
_SINKS = '[sinks.raw]\ntype = "ndjson"\nfsync = "interval"\n[sinks.db]\ntype = "sqlite"\n'
_TEXT = """\
Resident memory over that of the bare interpreter, of one process that imports the package and logs events, then
records a fiftieth as many runs; with journal and database, and once more with an API that accepts and never answers.
Events add nothing: all of it is there after the first one. What stops it is code. The first row is what the libraries
take alone (attrs, msgspec, pluggy, sqlite3, logging, threading, with an empty database). The rest are over a hundred
modules of ours: 0.9 MB of bytecode, spread evenly, the largest with 22 kB of it, which Python holds as objects five
times as large. The last column leaves out pages of files: the code of Python and SQLite, which all processes share.
"""


def measure(setting: Setting) -> Section:
    """Let a child log a million events, twice."""
    events = setting.count(_EVENTS)
    libraries = answer_of("memory", "libraries")
    plain = answer_of("memory", _config(setting.directory / "plain", ""), events)
    with server(None) as url:
        api = f'[sinks.hq]\ntype = "api"\nurl = "{url}"\ntoken = "t"\n'
        hanging = answer_of("memory", _config(setting.directory / "hanging", api), events)
    figures = (
        Figure(f"memory after {events:,} events, over the interpreter", plain["events"], "MB", 10.0),
        Figure("the same, without pages of files", plain["private"], "MB"),
        Figure("memory of the libraries alone", libraries["events"], "MB"),
        Figure("memory that the last 90 % of the events add", plain["events"] - plain["tenth"], "MB", 1.0),
        Figure("memory after all, API hanging, over the interpreter", hanging["runs"], "MB"),
        Figure("memory that the last 90 % add, API hanging", hanging["events"] - hanging["tenth"], "MB", 1.0),
    )
    head = ("", "imported", "a tenth of the events", "all events", "and the runs", "all events, no files")
    agents = (("libraries alone", libraries), ("journal and database", plain), ("and an API that hangs", hanging))
    keys = ("imported", "tenth", "events", "runs", "private")
    rows = tuple((name, *(f"{found[key]:.1f} MB" if key in found else "" for key in keys)) for name, found in agents)
    return Section("memory", "Memory", _TEXT, figures, (Table(head, rows),))


def _config(place: Path, more: str) -> Path:
    place.mkdir()
    path = place / "telemetry.toml"
    path.write_text(f'base_dir = "{place / "base"}"\n{_SINKS}{more}', "utf-8")
    return path
