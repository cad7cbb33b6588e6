"""Fold the journal's lines about runs into their rows, each line once, whoever else writes to the same run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from attrs import evolve, frozen

from ...plugins.merge import fold, placeholder
from ...plugins.records import CommitLink, DeliveryReport, MetricsUpdate, RunRecord
from .batches import insert, insert_returning
from .commits import save_commits
from .connection import Connection
from .faults import Overtaken
from .rows import COLUMNS, plain_text, row_of, run_of, selected

__all__ = ["RunLine", "add_placeholders", "line_of", "store_run_lines"]

_NAMES = (*COLUMNS, "started_at", "ended_at", "revision")
_KEPT = frozenset(("run_id", "created_at"))
_ADD_LINE = "INSERT INTO run_lines (run_id, writer, seq)"
_IF_NEW = "ON CONFLICT DO NOTHING RETURNING run_id, writer, seq"
_INSERT = f"INSERT INTO agent_runs AS r ({', '.join(_NAMES)})"
# The guard: whoever read revision 7 writes revision 8, and of two who read 7 the second changes nothing.
_UPDATE = (
    "ON CONFLICT (run_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name not in _KEPT)
    + " WHERE r.revision = excluded.revision - 1"
)
_LOAD = f"SELECT r.revision, {selected()} FROM agent_runs AS r WHERE r.run_id = ANY(%s)"


@frozen
class RunLine:
    """A line about a run, and the name under which it is known for ever."""

    run_id: str
    writer: str
    seq: int
    record: RunRecord | MetricsUpdate | DeliveryReport | CommitLink

    @property
    def key(self) -> tuple[str, str, int]:
        """Run, writer and number."""
        return self.run_id, self.writer, self.seq


def store_run_lines(connection: Connection, lines: Sequence[RunLine]) -> None:
    """
    Fold *lines*, in journal order, into their runs; those that were folded before change nothing.

    Raises:
        Overtaken: another host wrote one of the runs meanwhile; roll back and do it again.
    """
    # In one order everywhere, so that two hosts that deliver the same lines wait for each other in a row.
    keys = sorted({line.key for line in lines})
    fresh = {tuple(row) for row in insert_returning(connection, _ADD_LINE, keys, _IF_NEW)}
    by_key = {line.key: line for line in lines if line.key in fresh}
    _fold_into_rows(connection, list(by_key.values()))
    links = [line.record for line in by_key.values() if isinstance(line.record, CommitLink)]
    save_commits(connection, links)


def _fold_into_rows(connection: Connection, lines: Sequence[RunLine]) -> None:
    if not lines:
        return
    stored = _loaded(connection, {line.run_id for line in lines})
    runs = {run_id: run for run_id, (_, run) in stored.items()}
    for line in lines:
        runs[line.run_id] = _folded(runs.get(line.run_id), line)
    rows: list[tuple[object, ...]] = []
    for run_id, run in sorted(runs.items()):
        revision, known = stored.get(run_id, (0, None))
        if run != known:
            rows.append(_row(run, revision + 1))
    if insert(connection, _INSERT, rows, _UPDATE) != len(rows):
        raise Overtaken


def _folded(known: RunRecord | None, line: RunLine) -> RunRecord:
    if isinstance(line.record, CommitLink):
        return known or placeholder(line.record.run_id, line.record.timestamp)
    return fold(known, line.record)


def _loaded(connection: Connection, run_ids: Iterable[str]) -> dict[str, tuple[int, RunRecord]]:
    rows = connection.execute(_LOAD, (list(run_ids),))
    runs = ((row[0], run_of(tuple(row[1:]))) for row in rows)
    return {run.run_id: (revision, run) for revision, run in runs}


def _row(run: RunRecord, revision: int) -> tuple[object, ...]:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    return (*row_of(evolve(run, created_at=run.created_at or now, updated_at=now)), revision)


def add_placeholders(connection: Connection, first_seen: dict[str, str]) -> None:
    """Make a row for each run of which only events are known: it did run. *first_seen* is the time by run id."""
    runs = [placeholder(run_id, timestamp) for run_id, timestamp in sorted(first_seen.items())]
    insert(connection, _INSERT, [_row(run, 1) for run in runs], "ON CONFLICT (run_id) DO NOTHING")


def line_of(record: RunRecord | MetricsUpdate | DeliveryReport | CommitLink, writer: str, seq: int) -> RunLine:
    """Return *record* under its name; the id of its run is as the table has it."""
    return RunLine(plain_text(record.run_id), writer, seq, record)
