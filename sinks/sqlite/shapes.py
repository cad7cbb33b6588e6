"""Tell what the file in front of us looks like: its tables, columns and checks are trusted, its number is not."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from functools import cached_property

from attrs import frozen

from ...plugins.mend import canonical_status
from ...plugins.records import STATUSES, TRIGGER_TYPES

__all__ = [
    "COLUMNS",
    "EXTRA_COLUMNS",
    "NEWEST_VERSION",
    "OUR_TABLES",
    "SCHEMA_TABLES",
    "Column",
    "Shape",
    "inspect",
    "quoted",
    "version_of",
]

NEWEST_VERSION = 7
"""The newest version of the lineage whose shape is known."""

COLUMNS: tuple[str, ...] = (
    *("run_id", "schema_version", "agent_name", "agent_owner", "job_type", "trigger_type", "start_time", "end_time"),
    *("status", "items_discovered", "items_succeeded", "items_failed", "duration_ms", "input_summary"),
    *("output_summary", "error_summary", "metrics_json", "insight_id", "product", "platform", "product_family"),
    *("subdomain", "git_repo", "git_branch", "git_run_tag", "host", "api_posted", "api_posted_at"),
    *("api_retry_count", "created_at", "updated_at"),
)
"""The columns of agent_runs in schema v3, in order."""

EXTRA_COLUMNS: tuple[str, ...] = (
    *("attributes_json", "parent_run_id", "status_detail", "verdict", "writer", "seq", "coerced_json"),
)
"""The columns of run_extras beside run_id, in order."""

SCHEMA_TABLES = frozenset(("agent_runs", "run_events", "commits", "schema_migrations"))
OUR_TABLES = frozenset(("run_extras", "run_commits", "journal_files", "journal_writers", "pruned_runs"))
_NEEDED = frozenset(("run_id", "agent_name", "start_time", "status"))
_LATER = frozenset(("git_commit_hash", "website", "item_name", "event_id", "items_skipped", "context_json"))


@frozen
class Column:
    """One column as the file declares it; `is_needed` says that an INSERT must name it."""

    name: str
    type: str
    is_needed: bool
    default: str | None

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers by its declared type."""
        return any(word in self.type for word in ("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC"))

    @property
    def filler(self) -> int | str:
        """What stands in the column where it must be given and nothing is known."""
        return 0 if self.is_number else ""

    def is_filler(self, value: object) -> bool:
        """Whether *value* stands here only because something had to."""
        return self.is_needed and value == self.filler

    def says_nothing(self, value: object) -> bool:
        """Whether *value* is none, a filler, or what the column has by default."""
        return value is None or self.is_filler(value) or str(value) == (self.default or "").strip("'\"")


@frozen(eq=False)
class Shape:
    """
    What a store looks like from inside.

    `has_marks` says that its run_extras can tell which runs the journal has not told yet, `has_tails` that its
    journal_files can tell a file that lost its end. `statuses` and `triggers`
    map each of our words to the one that the file's check lets in. `tokens` are the columns that want a value of
    their own in each row (`event_id`).
    """

    version: int | None
    tables: frozenset[str]
    has_view: bool
    has_marks: bool
    has_tails: bool
    columns: Mapping[str, Column]
    is_run_id_unique: bool
    statuses: Mapping[str, str]
    triggers: Mapping[str, str]
    tokens: frozenset[str]

    @property
    def is_runs_table_known(self) -> bool:
        """Whether the runs lie in a table that we can read."""
        return self.columns.keys() >= _NEEDED

    @property
    def is_of_later_lineage(self) -> bool:
        """Whether a later version made this file (v4 to v7); such a file keeps its columns as they are."""
        return (self.version or 0) > 3 or bool(_LATER & self.columns.keys())

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """The columns of v3 that this file does not have."""
        return tuple(name for name in COLUMNS if name not in self.columns)

    @cached_property
    def strange(self) -> tuple[str, ...]:
        """The columns of this file that v3 does not have."""
        return tuple(name for name in self.columns if name not in _COLUMN_SET)

    @cached_property
    def is_plain(self) -> bool:
        """Whether our statements for v3 fit as they are."""
        is_same = self.statuses == _SAME_STATUSES and self.triggers == _SAME_TRIGGERS
        return is_same and self.is_run_id_unique and not self.missing and not self.strange

    @cached_property
    def ours(self) -> Mapping[str, str]:
        """Our status for each word of this file that stands for exactly one of them."""
        said = list(self.statuses.values())
        return {word: status for status, word in self.statuses.items() if said.count(word) == 1}

    @property
    def source(self) -> str:
        """What stands behind FROM; the tables are called `r` (agent_runs) and, where it exists, `x` (run_extras)."""
        has_extras = "run_extras" in self.tables
        return "agent_runs AS r" + (" LEFT JOIN run_extras AS x ON x.run_id = r.run_id" if has_extras else "")

    def select(self, columns: str | None = None) -> str:
        """
        Return `SELECT ... FROM ...` of all runs with what the platform adds, also where the view is missing.

        Args:
            columns: SQL in place of the list of agent_runs' columns.
        """
        names = [columns] if columns else [f"r.{quoted(name)}" for name in self.columns if name != "parent_run_id"]
        if "run_extras" in self.tables:
            names += [self._extra(name) for name in EXTRA_COLUMNS]
        elif "parent_run_id" in self.columns:
            names.append("r.parent_run_id")
        return f"SELECT {', '.join(names)} FROM {self.source}"

    def _extra(self, name: str) -> str:
        if name == "parent_run_id" and name in self.columns:
            return "coalesce(x.parent_run_id, r.parent_run_id) AS parent_run_id"
        return f"x.{name} AS {name}"


_COLUMN_SET = frozenset(COLUMNS)
_SAME_STATUSES = {word: word for word in STATUSES}
_SAME_TRIGGERS = {word: word for word in TRIGGER_TYPES}


def quoted(name: str) -> str:
    """Return *name* as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def inspect(connection: sqlite3.Connection) -> Shape:
    """Return the shape of the file behind *connection*; an empty file has no tables and no columns."""
    made = connection.execute("SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    tables = frozenset(name for name, kind, _ in made if kind == "table" and not name.startswith("sqlite_"))
    sql = next((text for name, kind, text in made if name == "agent_runs" and kind == "table"), "")
    columns = {column.name: column for column in _columns(connection)}
    unique = frozenset(_unique_columns(connection))
    return Shape(
        version=version_of(connection, tables),
        tables=tables,
        has_view=any(name == "runs" for name, _, _ in made),
        has_marks=any(name == "run_extras" and "unread" in text for name, _, text in made),
        has_tails=any(name == "journal_files" and "events_tail" in text for name, _, text in made),
        columns=columns,
        is_run_id_unique="run_id" in unique,
        statuses=_status_words(_allowed("status", sql)),
        triggers=_trigger_words(_allowed("trigger_type", sql)),
        tokens=frozenset(
            name for name in columns if name in unique and name != "run_id" and not columns[name].is_number
        ),
    )


def version_of(connection: sqlite3.Connection, tables: Iterable[str]) -> int | None:
    """Return the highest version that the file says of itself, None when it says none."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    said = [int(number)] if number else []
    if "schema_migrations" in tables:
        names = [row[1] for row in connection.execute("PRAGMA table_info(schema_migrations)")]
        if "version" in names:
            query = "SELECT max(CAST(version AS INTEGER)) FROM schema_migrations"
            said += [int(number) for (number,) in connection.execute(query) if number is not None]
    return max(said, default=None)


def _columns(connection: sqlite3.Connection) -> Iterable[Column]:
    for _, name, kind, is_not_null, default, key in connection.execute("PRAGMA table_info(agent_runs)"):
        is_rowid = bool(key) and kind.upper() == "INTEGER"
        yield Column(name, kind.upper(), bool(is_not_null) and default is None and not is_rowid, default)


def _unique_columns(connection: sqlite3.Connection) -> Iterable[str]:
    for _, index, is_unique, _origin, is_partial in connection.execute("PRAGMA index_list(agent_runs)").fetchall():
        names = [row[2] for row in connection.execute(f"PRAGMA index_info({quoted(index)})")]
        if is_unique and not is_partial and len(names) == 1:
            yield names[0]


def _allowed(column: str, sql: str) -> frozenset[str] | None:
    """Return the words that the check on *column* lets in, None when there is no such check."""
    found = re.search(rf"\b{column}\b[\"'`\]]?\s+IN\s*\(([^)]*)\)", sql, re.IGNORECASE)
    return frozenset(re.findall(r"['\"]([^'\"]*)['\"]", found[1])) if found else None


def _status_words(allowed: frozenset[str] | None) -> dict[str, str]:
    return {word: word if allowed is None or word in allowed else _same(word, allowed) for word in STATUSES}


def _same(status: str, allowed: frozenset[str]) -> str:
    """Return the word that means *status* where the check does not know ours; `failure` is the one for `failed`."""
    same = [word for word in sorted(allowed) if canonical_status(word) == status]
    return "failure" if "failure" in same else next(iter(same or sorted(allowed)), status)


def _trigger_words(allowed: frozenset[str] | None) -> dict[str, str]:
    if allowed is None:
        return {word: word for word in TRIGGER_TYPES}
    other = "manual" if "manual" in allowed else min(allowed, default="manual")
    return {word: word if word in allowed else other for word in TRIGGER_TYPES}
