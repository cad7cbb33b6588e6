"""Write each finished run as one row of a CSV file a day, for people who ask their questions in a spreadsheet."""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, ClassVar

from attrs import Attribute, define, field, fields, frozen

from telemetry.plugins import RunRecord, SinkContext, hookimpl, make_private_folder

__all__ = ["CsvSink"]

_COLUMNS = (
    *("run_id", "agent_name", "job_type", "status", "status_detail", "start_time", "end_time", "duration_ms"),
    *("items_discovered", "items_succeeded", "items_failed", "error_summary", "metrics"),
)
_MAPPINGS = ("metrics", "attributes")
_KNOWN = frozenset(attribute.name for attribute in fields(RunRecord))


def _are_columns(instance: Any, attribute: Attribute[Any], names: tuple[str, ...]) -> None:
    for name in names:
        mapping, dot, _ = name.partition(".")
        if name not in _KNOWN and not (dot and mapping in _MAPPINGS):
            raise ValueError(f"{name!r} is no field of a run; your own are metrics.NAME and attributes.NAME")


@define(eq=False)
class CsvSink:
    """
    One row a finished run, in `runs_YYYYMMDD.csv` of the UTC day on which it ended.

    A row is one line and one write, so it survives the death of its process, and rows of several processes do not
    mix. A run whose end comes twice has two rows, of which the last one counts.
    """

    contract: ClassVar[int] = 1

    @frozen(kw_only=True)
    class Options:
        """
        Where the files lie and what a row holds.

        `directory` is `csv` in the base directory when left out. A column is a field of `RunRecord`, or
        `metrics.NAME` or `attributes.NAME`.
        """

        directory: Path | None = None
        columns: tuple[str, ...] = field(default=_COLUMNS, validator=_are_columns)

    options: Options = field(factory=Options)
    _directory: Path = field(init=False, factory=Path)
    _rows: int = field(init=False, default=0)

    @hookimpl
    def telemetry_open(self, context: SinkContext) -> None:
        """Make the directory."""
        self._directory = self.options.directory or context.base_dir / "csv"
        make_private_folder(self._directory)

    @hookimpl
    def telemetry_run_ended(self, run: RunRecord) -> None:
        """Append the run's row."""
        _append(self._file_of(_day_of(run)), _line(_cell(run, name) for name in self.options.columns))
        self._rows += 1

    @hookimpl
    def telemetry_health(self) -> dict[str, Any]:
        """Tell where the files lie and how many rows this process has written."""
        return {"directory": str(self._directory), "rows": self._rows}

    def _file_of(self, day: str) -> Path:
        """Return the day's file; where the columns were changed in mid day, a further one."""
        header = _line(self.options.columns)
        names = itertools.chain([f"runs_{day}.csv"], (f"runs_{day}_{number}.csv" for number in itertools.count(2)))
        paths = (self._directory / name for name in names)
        return next(path for path in paths if _has_header(path, header))


def _day_of(run: RunRecord) -> str:
    try:
        moment = run.ended_at
    except ValueError:  # an agent may give any text as the end
        moment = None
    return f"{moment or datetime.now(UTC):%Y%m%d}"


def _cell(run: RunRecord, column: str) -> Any:
    name, _, key = column.partition(".")
    value = getattr(run, name).get(key) if key else getattr(run, name)
    if value is None or isinstance(value, int | float):
        return value
    return _harmless(" ".join(value.splitlines()) if isinstance(value, str) else _json(value))


def _json(value: Any) -> str:
    return json.dumps(dict(value) if hasattr(value, "keys") else value, ensure_ascii=False) if value else ""


def _harmless(text: str) -> str:
    # A spreadsheet would run a text such as `=HYPERLINK(...)`, and an error message may come from anywhere.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def _line(values: Iterable[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue().encode("utf-8", "replace")


def _has_header(path: Path, header: bytes) -> bool:
    """Tell whether the file begins with *header*; makes the file where there is none."""
    if not path.exists():
        _create(path, header)
    with path.open("rb") as file:
        return file.read(len(header)) == header


def _create(path: Path, header: bytes) -> None:
    # The header is there before the file has its name, or the row of another process could come first.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".header-")
    os.close(descriptor)
    _append(Path(draft), header)
    with suppress(FileExistsError):
        os.link(draft, path)
    os.unlink(draft)


def _append(path: Path, line: bytes) -> None:
    with path.open("ab+", buffering=0) as file:
        row = _ending(file) + line
        if file.write(row) < len(row):
            raise OSError(errno.ENOSPC, "only a part of the row was written", str(path))


def _ending(file: IO[bytes]) -> bytes:
    """Return what ends the row that a killed process or a full disk left unfinished: it costs no other row."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
    if file.read(1) in (b"", b"\n"):
        return b""
    file.seek(0)
    torn = file.read().rpartition(b"\n")[2]
    return b'"' * (torn.count(b'"') % 2) + b"\r\n"
