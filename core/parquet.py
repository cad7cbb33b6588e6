"""Write runs or events as a Parquet file: typed, compressed, and of any number, since they never stand in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import fields

from ..plugins.codec import encode
from ..plugins.records import RunEvent, RunRecord
from .duck import lent_duckdb, literal
from .exporting import EVENT_COLUMNS, RUN_COLUMNS

__all__ = ["write_parquet"]

_TIMES = frozenset(("start_time", "end_time", "timestamp", "api_posted_at", "created_at", "updated_at"))
_JSON = frozenset(("metrics", "attributes", "payload"))
_SQL = {"int": "BIGINT", "int | None": "BIGINT", "bool": "BOOLEAN"}
_TYPES: Mapping[str, str] = {
    **{each.name: _SQL.get(str(each.type), "VARCHAR") for each in fields(RunRecord)},
    **dict.fromkeys(_JSON, "JSON"),
}
_LARGEST = 2**63 - 1


def write_parquet(path: Path, records: Iterable[RunRecord | RunEvent], kind: type) -> int:
    """
    Write *records*, all of one *kind*, and return the size of the file in bytes.

    Times are moments in UTC, null where the stored text is no time; metrics, attributes and payloads are JSON text.
    The records go through a temporary file beside *path*, as JSON, which DuckDB reads in pieces.

    Raises:
        MissingExtra: DuckDB is not installed.
        OSError: a file cannot be written.
    """
    columns = RUN_COLUMNS if kind is RunRecord else EVENT_COLUMNS
    with lent_duckdb() as (_, connection), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        rows = Path(folder, "rows.ndjson")
        longest = _write_rows(rows, records, columns)
        connection.execute(_copy(rows, path, columns, longest))
        os.chmod(path, 0o600)
    return path.stat().st_size


def _write_rows(path: Path, records: Iterable[RunRecord | RunEvent], columns: tuple[str, ...]) -> int:
    longest = 1 << 16
    with path.open("wb") as file:
        for record in records:
            line = encode({name: _plain(getattr(record, name)) for name in columns}) + b"\n"
            longest = max(longest, len(line))
            file.write(line)
    return longest


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return None if type(value) is int and abs(value) > _LARGEST else value


def _copy(rows: Path, path: Path, columns: tuple[str, ...], longest: int) -> str:
    types = ", ".join(f"{literal(name)}: {literal(_TYPES.get(name, 'VARCHAR'))}" for name in columns)
    source = f"read_json({literal(str(rows))}, format = 'newline_delimited', maximum_object_size = {2 * longest}"
    names = ", ".join(_selected(name) for name in columns)
    target = f"{literal(str(path))} (FORMAT parquet, COMPRESSION zstd)"
    return f"COPY (SELECT {names} FROM {source}, columns = {{{types}}})) TO {target}"


def _selected(name: str) -> str:
    return f'TRY_CAST("{name}" AS TIMESTAMPTZ) AS "{name}"' if name in _TIMES else f'"{name}"'
