"""Carry over what only another store has: rows of other programs, and of runs whose journal is gone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from attrs import define, field

from ...plugins.merge import fold
from .draft import Draft, strange_tables
from .opening import Opened, open_for_reading
from .pruned import without_pruned
from .shapes import inspect, quoted
from .storable import storable_run
from .writes import load_run, save_run

__all__ = ["Carrier"]

_MISSING = """
SELECT run_id FROM other.agent_runs AS o
WHERE NOT EXISTS (SELECT 1 FROM main.agent_runs AS n WHERE n.run_id = o.run_id)
AND NOT EXISTS (SELECT 1 FROM main.pruned_runs AS p WHERE p.run_id = o.run_id)
"""
_ENDED = """
SELECT o.run_id FROM other.agent_runs AS o JOIN main.agent_runs AS n ON n.run_id = o.run_id
WHERE n.status = 'running' AND o.status <> 'running'
"""
_DIFFERING = """
SELECT count(*) FROM other.agent_runs AS o JOIN main.agent_runs AS n ON n.run_id = o.run_id
WHERE (o.status, o.end_time) IS NOT (n.status, n.end_time)
"""
_POSTED = """
UPDATE main.agent_runs SET api_posted = 1, api_posted_at = o.api_posted_at FROM other.agent_runs AS o
WHERE o.run_id = main.agent_runs.run_id AND o.api_posted = 1 AND coalesce(main.agent_runs.api_posted, 0) = 0
"""
_MORE_EVENTS = """
SELECT o.run_id FROM (SELECT run_id, count(*) AS number FROM other.run_events WHERE {kept} GROUP BY run_id) AS o
LEFT JOIN (SELECT run_id, count(*) AS number FROM main.run_events GROUP BY run_id) AS n ON n.run_id = o.run_id
WHERE o.number > coalesce(n.number, 0)
AND NOT EXISTS (SELECT 1 FROM main.pruned_runs AS p WHERE p.run_id = o.run_id)
"""
_IS_THERE = """
EXISTS (SELECT 1 FROM main.run_events AS n WHERE n.run_id = o.run_id AND n.event_type = o.event_type
AND n.timestamp = o.timestamp AND n.payload_json IS o.payload_json)
"""
_WITH_ID = "INSERT OR IGNORE INTO main.run_events (id, run_id, event_type, timestamp, payload_json) SELECT o.id, "
_WITHOUT_ID = "INSERT INTO main.run_events (run_id, event_type, timestamp, payload_json) SELECT "
_THEIR_EVENTS = f"""
o.run_id, o.event_type, o.timestamp, o.payload_json FROM other.run_events AS o
WHERE o.run_id = ? AND NOT {_IS_THERE} ORDER BY o.id
"""


@define
class Carrier:
    """
    Brings what the store at *path* has, and no journal knows, into a draft; called again it finds what is new.

    Attributes:
        carried: how many of each kind were brought over so far.
        differing: of how many runs the two say different things; the draft's word stays.
    """

    draft: Draft
    path: Path
    carried: dict[str, int] = field(factory=dict)
    differing: int = 0

    def carry(self) -> None:
        """
        Compare the two stores and bring over what the draft lacks.

        Raises:
            Damaged: the other file is no database any more.
            StoreError: it cannot be read.
        """
        source = open_for_reading(self.path)
        try:
            with self.draft.reading() as opened:
                opened.connection.execute("ATTACH ? AS other", (f"{self.path.absolute().as_uri()}?mode=ro",))
            try:
                self._carry(source)
            finally:
                with self.draft.reading() as opened:
                    opened.connection.execute("DETACH other")
        finally:
            source.connection.close()

    def _carry(self, source: Opened) -> None:
        if "agent_runs" not in source.shape.tables:
            return
        with self.draft.writing() as opened:
            (self.differing,) = opened.connection.execute(_DIFFERING).fetchone()
            missing = [run_id for (run_id,) in opened.connection.execute(_MISSING)]
            ended = [run_id for (run_id,) in opened.connection.execute(_ENDED)]
            _bring_runs(opened, source, missing)
            for run_id in ended:
                _bring_run(opened, source, run_id)
            self._count("runs", len(missing))
            self._count("ends", len(ended))
            self.differing = max(0, self.differing - len(ended))
            self._bring_columns(opened.connection, source)
            if "run_events" in source.shape.tables:
                self._bring_events(opened.connection, _MORE_EVENTS.format(kept=without_pruned(source.shape, "other")))
            self._bring_commits(opened.connection, source)
            for table in strange_tables(source):
                self._bring_table(opened.connection, table)

    def _count(self, kind: str, number: int) -> None:
        if number:
            self.carried[kind] = self.carried.get(kind, 0) + number

    def _bring_columns(self, connection: sqlite3.Connection, source: Opened) -> None:
        """Take over what no line of a journal tells: when the row was made, and the columns of other programs."""
        ours = inspect(connection).columns
        names = [name for name in ("created_at", "updated_at") if name in source.shape.columns and name in ours]
        names += [name for name in source.shape.strange if name in ours and name != "id"]
        if names:
            settings = ", ".join(
                f"{quoted(name)} = coalesce(o.{quoted(name)}, main.agent_runs.{quoted(name)})" for name in names
            )
            differ = " OR ".join(f"o.{quoted(name)} IS NOT main.agent_runs.{quoted(name)}" for name in names)
            joined = f"FROM other.agent_runs AS o WHERE o.run_id = main.agent_runs.run_id AND ({differ})"
            connection.execute(f"UPDATE main.agent_runs SET {settings} {joined}")
        if {"api_posted", "api_posted_at"} <= source.shape.columns.keys() & ours.keys():
            connection.execute(_POSTED)

    def _bring_events(self, connection: sqlite3.Connection, those_with_more: str) -> None:
        for (run_id,) in connection.execute(those_with_more).fetchall():
            with_id = connection.execute(_WITH_ID + _THEIR_EVENTS, (run_id,)).rowcount
            # Those whose id another line has got in the new store meanwhile.
            without = connection.execute(_WITHOUT_ID + _THEIR_EVENTS, (run_id,)).rowcount
            self._count("events", with_id + without)

    def _bring_commits(self, connection: sqlite3.Connection, source: Opened) -> None:
        for table in ("commits", "run_commits"):
            if table in source.shape.tables:
                names = _common(connection, table)
                sql = f"INSERT OR IGNORE INTO main.{table} ({names}) SELECT {names} FROM other.{table}"
                if table == "run_commits":
                    sql += " WHERE run_id NOT IN (SELECT run_id FROM main.pruned_runs)"
                number = connection.execute(sql).rowcount
                self._count("commits", number if table == "commits" else 0)

    def _bring_table(self, connection: sqlite3.Connection, table: str) -> None:
        name = quoted(table)
        connection.execute(f"DELETE FROM main.{name}")
        number = connection.execute(f"INSERT INTO main.{name} SELECT * FROM other.{name}").rowcount
        self.carried.pop("rows", None)
        self._count("rows", number)


def _bring_runs(opened: Opened, source: Opened, run_ids: list[str]) -> None:
    if opened.shape.columns != source.shape.columns:
        for run_id in run_ids:
            _bring_run(opened, source, run_id)
        return
    keys = [(run_id,) for run_id in run_ids]
    for table in ("agent_runs", "run_extras"):
        if table in source.shape.tables:
            names = _common(opened.connection, table)
            sql = f"INSERT OR IGNORE INTO main.{table} ({names}) SELECT {names} FROM other.{table} WHERE run_id = ?"
            opened.connection.executemany(sql, keys)


def _bring_run(opened: Opened, source: Opened, run_id: str) -> None:
    theirs = load_run(source.connection, source.shape, run_id)
    if theirs is not None:
        known = load_run(opened.connection, opened.shape, run_id)
        save_run(opened.connection, opened.shape, storable_run(fold(known, theirs)))


def _common(connection: sqlite3.Connection, table: str) -> str:
    """Return the columns that both stores have of *table*, as SQL; a number that only counts rows is left out."""
    mine, theirs = (
        {row[1]: row for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}
        for schema in ("main", "other")
    )
    counted = {name for name, row in mine.items() if row[5] and row[2].upper() == "INTEGER"}
    return ", ".join(quoted(name) for name in mine if name in theirs and name not in counted)
