"""Remember which runs were pruned, so that no late line brings one back and nobody sees what is left of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby

from ...plugins import lateness
from ...plugins.pruning import RunPruned
from ...plugins.records import RunRecord
from .run_lines import RUN_KINDS, RunLine, store_run_lines
from .shapes import Shape

__all__ = [
    "LINE_KINDS",
    "forget_rest",
    "forget_runs",
    "half_pruned",
    "is_late",
    "pruned_among",
    "store_lines",
    "without_pruned",
]

LINE_KINDS = RUN_KINDS | {"pruned"}
"""The kinds of lines that a store folds into its runs."""

_BEFORE = "SELECT before FROM pruned_runs WHERE run_id = ?"
_NOTE = "INSERT OR REPLACE INTO pruned_runs (run_id, before, pruned_at) VALUES (?, ?, ?)"
_LINKED = "SELECT c.run_id FROM run_commits AS c WHERE c.commit_hash = commits.commit_hash"
_SOME_EVENTS = "DELETE FROM run_events WHERE id IN (SELECT id FROM run_events WHERE run_id = ? LIMIT ?)"
# A run that began anew under its id has a row again, and keeps its events.
_REST = """
DELETE FROM run_events WHERE id IN (SELECT id FROM run_events WHERE run_id = :run_id
AND EXISTS (SELECT 1 FROM pruned_runs WHERE run_id = :run_id)
AND NOT EXISTS (SELECT 1 FROM agent_runs WHERE run_id = :run_id) LIMIT :most)
"""
_WITH_A_REST = (
    "SELECT run_id FROM pruned_runs AS p WHERE EXISTS (SELECT 1 FROM run_events AS e WHERE e.run_id = p.run_id) "
    "AND NOT EXISTS (SELECT 1 FROM agent_runs AS r WHERE r.run_id = p.run_id)"
)
_EARLIER_EVENTS = "DELETE FROM run_events WHERE run_id = ? AND timestamp < ?"
_MOST_EVENTS = 3000  # as many take 10 ms
_DELETIONS = (
    "DELETE FROM run_extras WHERE run_id = ?",
    # A commit stands with one run; while another one is linked with it, it stands with that one.
    "DELETE FROM run_commits WHERE run_id = ?",
    f"DELETE FROM commits WHERE run_id = ? AND NOT EXISTS ({_LINKED})",
    f"UPDATE commits SET run_id = ({_LINKED}) WHERE run_id = ?",
    "DELETE FROM agent_runs WHERE run_id = ?",
)


def forget_runs(connection: sqlite3.Connection, pruned: Iterable[RunPruned], most_events: int = _MOST_EVENTS) -> int:
    """
    Delete what the store has of these runs, and remember that; without commit. Return how many events went.

    No more than *most_events* do, so that the lock is not held for long. The others stay, seen by no reader, until
    `forget_rest()`: a run is there whole, or gone.
    """
    lines = list(pruned)
    keys = [(line.run_id,) for line in lines]
    left = most_events
    for (run_id,) in keys:
        left -= connection.execute(_SOME_EVENTS, (run_id, left)).rowcount
    for sql in _DELETIONS:
        connection.executemany(sql, keys)
    connection.executemany(_NOTE, [(line.run_id, line.before, line.timestamp) for line in lines])
    return most_events - left


def half_pruned(connection: sqlite3.Connection) -> list[str]:
    """Return the ids of the pruned runs of which events are left."""
    return [run_id for (run_id,) in connection.execute(_WITH_A_REST)]


def forget_rest(connection: sqlite3.Connection, run_id: str, most_events: int) -> int:
    """Delete up to *most_events* that are left of a pruned run, without commit; return how many went."""
    return connection.execute(_REST, {"run_id": run_id, "most": most_events}).rowcount


def without_pruned(shape: Shape, schema: str = "main") -> str:
    """Return the condition for an event that no pruned run has left behind, as SQL over `run_id`."""
    if "pruned_runs" not in shape.tables:
        return "true"  # a file that may only be read can be older than the notes
    noted, begun_anew = (f"(SELECT run_id FROM {schema}.{table})" for table in ("pruned_runs", "agent_runs"))
    return f"(run_id NOT IN {noted} OR run_id IN {begun_anew})"


def store_lines(connection: sqlite3.Connection, shape: Shape, lines: Iterable[RunLine | RunPruned]) -> None:
    """Fold *lines*, in journal order, into the store; those about runs that were pruned count no more."""
    for is_pruning, group in groupby(lines, key=lambda line: isinstance(line, RunPruned)):
        if is_pruning:
            forget_runs(connection, (line for line in group if isinstance(line, RunPruned)))
        else:
            told = (line for line in group if not isinstance(line, RunPruned))
            store_run_lines(connection, shape, _timely(connection, told))


def _timely(connection: sqlite3.Connection, lines: Iterable[RunLine]) -> Iterator[RunLine]:
    if connection.execute("SELECT 1 FROM pruned_runs LIMIT 1").fetchone() is None:
        yield from lines
        return
    for line in lines:
        if not is_late(connection, line):
            yield line


def is_late(connection: sqlite3.Connection, line: RunLine) -> bool:
    """Whether *line* speaks of a run that was pruned; what begins anew under its id makes it a run like others."""
    row = connection.execute(_BEFORE, (line.run_id,)).fetchone()
    if row is None or not isinstance(line, RunRecord) or lateness.is_late(line, row[0]):
        return row is not None
    # What is left of the one before would be seen as the new one's, of which events may be indexed already.
    connection.execute(_EARLIER_EVENTS, (line.run_id, line.start_time))
    connection.execute("DELETE FROM pruned_runs WHERE run_id = ?", (line.run_id,))
    return False


def pruned_among(connection: sqlite3.Connection, run_ids: Iterable[str]) -> set[str]:
    """Return those of *run_ids* that were pruned."""
    return {run_id for run_id in run_ids if connection.execute(_BEFORE, (run_id,)).fetchone() is not None}
