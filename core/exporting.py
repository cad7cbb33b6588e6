"""Write runs and events as files that other programs read: a stream, whatever their number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from ..plugins.lines import encode_line
from ..plugins.records import RUN_FIELDS, RunEvent, RunRecord

__all__ = ["EVENT_COLUMNS", "FORMATS", "PARQUET", "RUN_COLUMNS", "RowWriter", "lines_of"]

RUN_COLUMNS = tuple(name for name in RUN_FIELDS if name not in ("writer", "seq", "coerced"))
EVENT_COLUMNS = ("run_id", "event_type", "timestamp", "payload")

Record = RunRecord | RunEvent


def lines_of(records: Iterable[Record], form: str, kind: type[Record]) -> Iterator[bytes]:
    """
    Yield *records*, all of one kind or, as ndjson, of both, as the lines of a file.

    Args:
        form: a name in `FORMATS`.
        kind: `RunRecord` or `RunEvent`; a heading has its columns, also where there are no records.
    """
    return FORMATS[form](records, kind)


def _ndjson(records: Iterable[Record], kind: type[Record]) -> Iterator[bytes]:
    return map(encode_line, records)  # the journal's own form, so that what is exported can be read like one


class RowWriter:
    """Write rows as CSV with plain newlines; what holds a comma, a quote or any kind of line break is quoted."""

    def __init__(self, file: Any) -> None:
        self._plain = csv.writer(file, lineterminator="\n")
        self._quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(self, fields: Sequence[str]) -> None:
        """Write one row."""
        # By itself the module quotes for the line break that it writes, and lets a bare carriage return through.
        writer = self._quoted if any("\r" in field for field in fields) else self._plain
        writer.writerow(fields)


def _csv(records: Iterable[Record], kind: type[Record]) -> Iterator[bytes]:
    buffer = io.StringIO(newline="")
    writer = RowWriter(buffer)
    columns = RUN_COLUMNS if kind is RunRecord else EVENT_COLUMNS
    rows = ([_field(getattr(record, name)) for name in columns] for record in records)
    for row in chain([columns], rows):
        writer.write(row)
        yield buffer.getvalue().encode("utf-8", "backslashreplace")
        buffer.seek(0)
        buffer.truncate()


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, default=str)


FORMATS: Mapping[str, Callable[[Iterable[Record], type[Record]], Iterator[bytes]]] = {"ndjson": _ndjson, "csv": _csv}
"""How records can be written as lines."""

PARQUET = "parquet"
