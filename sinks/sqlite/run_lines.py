"""Fold the journal's lines about runs into the rows of a store that may be behind the journal or ahead of it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from typing import TypeAlias

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
        self._passed: dict[str, int] = {}

    def add(self, line: RunLine) -> None:
        known = self._known(line.run_id)
        if isinstance(line, CommitLink):
            self._runs[line.run_id] = known or placeholder(line.run_id, line.timestamp)
            self._links.append(line)
        else:
            before = known if known is None or not isinstance(line, RunRecord) else self._before(known, line)
            self._runs[line.run_id] = fold(before, line)
        self._pass(line.writer, line.seq)

    def _known(self, run_id: str) -> RunRecord | None:
        if run_id not in self._stored:
            self._stored[run_id] = load_run(self._connection, self._shape, run_id)
        return self._runs.get(run_id, self._stored[run_id])

    def _pass(self, writer: object, seq: object) -> None:
        # Of a metrics line only the id of its run is checked when it is decoded.
        if isinstance(writer, str) and isinstance(seq, int) and 0 < seq <= _LARGEST:
            self._passed[writer] = max(seq, self._passed_by(writer))

    def _before(self, known: RunRecord, line: RunRecord) -> RunRecord:
        """
        Return *known* as it was before *line*, as far as the journal has told up to there.

        The sink writes the end of a run before the journal is read up to it. Of two ends the first one in the
        journal wins, and the one in the row may be the second: it is open until its line was passed.
        """
        if line.is_running or known.is_running or line.verdict != known.verdict:
            return known
        if known.seq is not None and (known.writer, known.seq) == (line.writer, line.seq):
            return attrs.evolve(known, status="running")  # lines in between may have set what this end has the say in
        if self._has_passed(known):
            return known
        return attrs.evolve(known, status="running", error_summary=None, output_summary=None)

    def _has_passed(self, known: RunRecord) -> bool:
        """Whether the journal was read up to the end that *known* tells; an end without a number came first."""
        if known.writer is None or known.seq is None:
            return True
        return known.seq <= self._passed_by(known.writer)

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
        for link in self._links:
            self._link(link)
        self._connection.executemany(_PASSED, self._passed.items())

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
