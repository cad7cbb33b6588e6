"""Write runs and events as files that other programs read: a stream, whatever their number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..plugins.lines import encode_line
from ..plugins.records import RUN_FIELDS, RunEvent, RunRecord

__all__ = ["EVENT_COLUMNS", "FORMATS", "RUN_COLUMNS", "lines_of"]

RUN_COLUMNS = tuple(name for name in RUN_FIELDS if name not in ("writer", "seq", "coerced"))
EVENT_COLUMNS = ("run_id", "event_type", "timestamp", "payload")

Record = RunRecord | RunEvent


def lines_of(records: Iterable[Record], form: str) -> Iterator[bytes]:
    """
    Yield *records*, all of one kind or, as ndjson, of both, as the lines of a file.

    Args:
        form: a name in `FORMATS`.
    """
    return FORMATS[form](records)


def _ndjson(records: Iterable[Record]) -> Iterator[bytes]:
    return map(encode_line, records)  # the journal's own form, so that what is exported can be read like one


def _csv(records: Iterable[Record]) -> Iterator[bytes]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    columns: tuple[str, ...] = ()
    for record in records:
        if not columns:
            columns = RUN_COLUMNS if isinstance(record, RunRecord) else EVENT_COLUMNS
            writer.writerow(columns)
        writer.writerow([_field(getattr(record, name)) for name in columns])
        yield buffer.getvalue().encode("utf-8", "backslashreplace")
        buffer.seek(0)
        buffer.truncate()


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, default=str)


FORMATS: Mapping[str, Callable[[Iterable[Record]], Iterator[bytes]]] = {"ndjson": _ndjson, "csv": _csv}
"""How records can be written."""
