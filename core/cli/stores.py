"""Find journal and database of the configuration, and open the database so that nothing can be written through it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from ...plugins.care import Progress, counted
from .desk import Desk
from .faults import Exit, Fault

__all__ = ["database_path", "index_events", "journal_path", "read_only_database"]

_STEPS = 100_000


def database_path(desk: Desk) -> Path:
    """
    Return where the database of the configuration lies.

    Raises:
        Fault: no sink keeps one.
    """
    built = desk.built
    for spec in desk.config.sinks:
        if spec.type == "sqlite" and spec.name in built.sinks:
            path = getattr(built.sinks[spec.name].options, "path", None)
            return Path(path or built.contexts[spec.name].database_path)
    raise Fault("no sink keeps a database", where="sinks", cure="configure a sink of type 'sqlite'")


def journal_path(desk: Desk) -> Path:
    """Return where the journal of the configuration lies, or would lie if a sink kept one."""
    contexts = desk.built.contexts.values()
    places = [context.journal_dir for context in contexts if context.journal_dir is not None]
    return places[0] if places else desk.config.ndjson_dir


@contextmanager
def read_only_database(path: Path) -> Iterator[sqlite3.Connection]:
    """
    Lend a connection that can only read; ^C interrupts what it does.

    Raises:
        Fault: there is no such file.
    """
    if not path.is_file():
        raise Fault("nothing was recorded yet", where=str(path), cure="telemetry demo", code=Exit.NOT_FOUND)
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    try:
        connection.execute("PRAGMA query_only = ON")
        # ATTACH would make a file where none is, also from a connection that can only read.
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        # While SQLite works Python sees no signal; this lets it look, about ten times a second.
        connection.set_progress_handler(_go_on, _STEPS)
        yield connection
    finally:
        connection.close()


def index_events(desk: Desk, progress: Progress) -> bool:
    """
    Have the store bring in its events, and the runs that only events tell of, which else come when asked for.

    Returns whether it has all of them.
    """
    catch_up = getattr(desk.store, "catch_up", None)
    if catch_up is None:
        desk.store.stats()
        return False
    # Every byte is read for the runs and for the events; what was read before shows in a bar that ends early.
    sizes = () if desk.store_place else (path.stat().st_size for path in journal_path(desk).glob("events_*.ndjson*"))
    return bool(catch_up(counted(progress, "indexing", 2 * sum(sizes))))


def _go_on() -> int:
    return 0
