"""Lend DuckDB, where it is installed: for SQL over the journal itself, and for Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ..plugins.errors import InputError, MissingExtra

__all__ = ["RawAnswer", "lent_duckdb", "literal", "raw_answer"]

_INSTALL = "pip install 'local-telemetry[duckdb]'"
_LONGEST_LINE_BYTES = 64 << 20
_LINES = """
CREATE VIEW lines AS SELECT json AS line, parse_filename(filename) AS file
FROM read_ndjson_objects({files}, ignore_errors = true, maximum_object_size = {longest}, filename = true)
WHERE json IS NOT NULL
"""
_NO_LINES = "CREATE VIEW lines AS SELECT NULL::JSON AS line, NULL::VARCHAR AS file WHERE false"
_VIEWS = """
CREATE MACRO word(line, name) AS json_extract_string(line, name);
CREATE VIEW events AS SELECT word(line, 'run_id') AS run_id, word(line, 'event_type') AS event_type,
    TRY_CAST(word(line, 'timestamp') AS TIMESTAMPTZ) AS timestamp,
    coalesce(json_extract(line, 'payload'), TRY_CAST(word(line, 'payload_json') AS JSON)) AS payload,
    word(line, 'writer') AS writer, TRY_CAST(word(line, 'seq') AS BIGINT) AS seq, file
FROM lines WHERE word(line, 'record_type') = 'event';
CREATE VIEW run_lines AS SELECT word(line, 'run_id') AS run_id, word(line, 'agent_name') AS agent_name,
    word(line, 'job_type') AS job_type, word(line, 'status') AS status,
    TRY_CAST(word(line, 'start_time') AS TIMESTAMPTZ) AS start_time,
    TRY_CAST(word(line, 'end_time') AS TIMESTAMPTZ) AS end_time,
    TRY_CAST(word(line, 'duration_ms') AS BIGINT) AS duration_ms, json_extract(line, 'metrics') AS metrics,
    json_extract(line, 'attributes') AS attributes, line, file
FROM lines WHERE word(line, 'record_type') = 'run';
"""
_VIEW_NAMES = "lines, events, run_lines"


class RawAnswer:
    """
    What a query over the journal gave.

    Attributes:
        names: of the columns.
    """

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.names: Sequence[str] = [column[0] for column in cursor.description or ()]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while rows := self._cursor.fetchmany(1000):
            yield from rows


@contextmanager
def lent_duckdb() -> Iterator[tuple[Any, Any]]:
    """
    Lend the module `duckdb` and a connection to a database in memory.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        duckdb = import_module("duckdb")
    except ImportError as error:
        raise MissingExtra("this", "DuckDB", _INSTALL) from error
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")  # it would come to standard output, among the rows
        yield duckdb, connection
    finally:
        connection.close()


@contextmanager
def raw_answer(files: Sequence[Path], sql: str) -> Iterator[RawAnswer]:
    """
    Lend the answer to *sql* over journal *files*, plain or gzipped; lines that are no JSON are passed over.

    The views are `lines` (each line as JSON, and its file), `events` and `run_lines`. Nothing can be written, and no
    other file be read.

    Raises:
        MissingExtra: DuckDB is not installed.
        InputError: the SQL is wrong, or it is no SELECT.
    """
    with lent_duckdb() as (duckdb, connection):
        _prepare(connection, files)
        try:
            statements = connection.extract_statements(sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise InputError("the journal can only be read: the SQL must be one SELECT")
            yield RawAnswer(connection.execute(statements[0]))
        except duckdb.CatalogException as error:
            # On a line of its own: DuckDB's text may end with a caret below what it means.
            raise InputError(f"{error}\nThe views are {_VIEW_NAMES}.") from error
        except duckdb.Error as error:
            raise InputError(str(error)) from error


def _prepare(connection: Any, files: Sequence[Path]) -> None:
    names = "[" + ", ".join(literal(str(file)) for file in files) + "]"
    connection.execute(_LINES.format(files=names, longest=_LONGEST_LINE_BYTES) if files else _NO_LINES)
    connection.execute(_VIEWS)
    # In this order: what follows the first of them may not be changed any more.
    connection.execute(f"SET allowed_paths = {names}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def literal(text: str) -> str:
    """Return *text* as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
