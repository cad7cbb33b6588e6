"""Fold the journal's lines about runs into the rows of a store that may be behind the journal or ahead of it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from typing import Any, TypeAlias

import attrs

from ...plugins import DeliveryReport, MetricsUpdate, RunRecord, fold
from ...plugins.complaints import Complaints
from ...plugins.merge import placeholder
from ...plugins.records import CommitLink
from .commits import save_commit
from .shapes import Shape
from .storable import storable_link, storable_run
from .writes import load_run, save_run

__all__ = ["RUN_KINDS", "RunLine", "store_run_lines"]

RUN_KINDS = frozenset(("run", "metrics", "delivery", "commit"))
RunLine: TypeAlias = RunRecord | MetricsUpdate | DeliveryReport | CommitLink

_PASSED = (
    "INSERT INTO journal_writers (writer, seq) VALUES (?, ?) "
    "ON CONFLICT (writer) DO UPDATE SET seq = max(seq, excluded.seq)"
)
_UNREAD = "SELECT 1 FROM run_extras WHERE run_id = ? AND unread"
_READ = "UPDATE run_extras SET unread = 0 WHERE run_id = ? AND unread"
_UNSUMMED: dict[str, Any] = {"error_summary": None, "output_summary": None}
_LARGEST = 2**63 - 1
_complaints = Complaints(logging.getLogger("telemetry.sqlite"))


def store_run_lines(connection: sqlite3.Connection, shape: Shape, lines: Iterable[RunLine]) -> None:
    """Fold *lines*, in journal order, into what the store knows of their runs; without commit."""
    batch = _Batch(connection, shape)
    for line in lines:
        batch.add(line)
    batch.save()


class _Batch:
    """The runs that some lines are about: as they are in the store, and as they are to be."""

    def __init__(self, connection: sqlite3.Connection, shape: Shape) -> None:
        self._connection = connection
        self._shape = shape
        self._stored: dict[str, RunRecord | None] = {}
        self._runs: dict[str, RunRecord] = {}
        self._links: list[CommitLink] = []
        self._told: set[str] = set()
        self._passed: dict[str, int] = {}

    def add(self, line: RunLine) -> None:
        known = self._known(line.run_id)
        if isinstance(line, CommitLink):
            self._runs[line.run_id] = known or placeholder(line.run_id, line.timestamp)
            self._links.append(line)
        elif isinstance(line, RunRecord):
            self._runs[line.run_id] = fold(known and self._before(known, line), line)
            self._told.add(line.run_id)
        else:
            self._runs[line.run_id] = fold(known, line)
        self._pass(line.writer, line.seq)

    def _known(self, run_id: str) -> RunRecord | None:
        if run_id not in self._stored:
            self._stored[run_id] = load_run(self._connection, self._shape, run_id)
        return self._runs.get(run_id, self._stored[run_id])

    def _pass(self, writer: object, seq: object) -> None:
        # Of a metrics line only the id of its run is checked when it is decoded.
        if isinstance(writer, str) and isinstance(seq, int) and 0 < seq <= _LARGEST:
            self._passed[writer] = max(seq, self._passed_by(writer))

    def _before(self, known: RunRecord, line: RunRecord) -> RunRecord | None:
        """
        Return *known* as it was before *line*, as far as the journal has told up to there.

        The sink writes a run before the journal is read up to it, and lines of other processes about the same run
        may stand in between: they are folded as if the row were not that far yet. What it was ahead comes again with
        its own lines.
        """
        if not self._is_ahead(known):
            return known
        if (known.writer, known.seq) == (line.writer, line.seq):
            return _reopened(known)
        if self._is_unread(known.run_id) and _comes_first(line, known):
            return None
        is_other_kind_of_end = line.verdict != known.verdict and not line.is_running
        return known if is_other_kind_of_end else attrs.evolve(_reopened(known), **_UNSUMMED)

    def _is_ahead(self, known: RunRecord) -> bool:
        """Whether *known* tells a line up to which the journal was not read yet; a run without a number is old."""
        if known.writer is None or known.seq is None:
            return False
        return known.seq > self._passed_by(known.writer)

    def _is_unread(self, run_id: str) -> bool:
        """Whether no line of the run was read so far: all that the row tells was written before its turn."""
        return run_id not in self._told and self._connection.execute(_UNREAD, (run_id,)).fetchone() is not None

    def _passed_by(self, writer: str) -> int:
        """Return the number of the last line of *writer* that was passed, 0 when none was."""
        if writer not in self._passed:
            sql = "SELECT seq FROM journal_writers WHERE writer = ?"
            row = self._connection.execute(sql, (writer,)).fetchone()
            self._passed[writer] = row[0] if row else 0
        return self._passed[writer]

    def save(self) -> None:
        """Write what has changed; without commit."""
        for run_id, run in self._runs.items():
            if run != self._stored[run_id]:
                self._save(run)
        # Of a run that is read to its end nobody asks any more whether it was read: no second write for each.
        self._connection.executemany(_READ, ((run_id,) for run_id in self._told if self._is_open(self._runs[run_id])))
        for link in self._links:
            self._link(link)
        self._connection.executemany(_PASSED, self._passed.items())

    def _is_open(self, run: RunRecord) -> bool:
        return run.is_running or self._is_ahead(run)

    def _save(self, run: RunRecord) -> None:
        try:
            save_run(self._connection, self._shape, run)
        except OverflowError:
            save_run(self._connection, self._shape, storable_run(run))
        except sqlite3.IntegrityError as error:
            # A check of a file that another program made. The lines behind this one must get through.
            _complaints.say("refused", "the database refuses run %s (%s); only the journal has it", run.run_id, error)

    def _link(self, link: CommitLink) -> None:
        try:
            save_commit(self._connection, link)
        except OverflowError:
            save_commit(self._connection, storable_link(link))


def _reopened(known: RunRecord) -> RunRecord:
    return known if known.is_running else attrs.evolve(known, status="running")


def _comes_first(line: RunRecord, known: RunRecord) -> bool:
    """Whether *line* stands in the journal before the start of the run that *known* tells, if nothing was read yet."""
    if line.writer != known.writer:
        return True
    return known.is_running and (line.seq or 0) < (known.seq or 0)
