"""Write a record as one journal line and read it back, also out of a damaged or foreign line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from .codec import RawJSON, decode, encode
from .mend import mended_event, mended_run
from .records import RUN_FIELDS, DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord

__all__ = ["LINE_START", "decode_line", "decode_lines", "encode_line", "record_of"]

LINE_START = b'{"record_type"'
"""How each of our lines begins; the reader finds a record inside a damaged line by it."""

_ADDED = ("parent_run_id", "status_detail", "verdict", "writer", "seq")
_COLUMNS = tuple(name for name in RUN_FIELDS if name not in (*_ADDED, "coerced"))
_scanner = json.JSONDecoder()


class _EventLine(msgspec.Struct, omit_defaults=True, rename={"coerced": "_coerced"}):
    record_type: str
    run_id: str
    event_type: str
    timestamp: str
    payload: Any
    writer: str | None = None
    seq: int | None = None
    coerced: tuple[str, ...] = ()


class _MetricsLine(msgspec.Struct, omit_defaults=True, rename={"coerced": "_coerced"}):
    record_type: str
    run_id: str
    timestamp: str
    metrics: Any
    fields: Any
    writer: str | None = None
    seq: int | None = None
    coerced: tuple[str, ...] = ()


class _DeliveryLine(msgspec.Struct, omit_defaults=True):
    record_type: str
    run_id: str
    timestamp: str
    sink: str
    ok: bool
    attempts: int
    reason: str | None = None
    writer: str | None = None
    seq: int | None = None


def encode_line(record: Record) -> bytes:
    """
    Return *record* as one line of NDJSON, newline included, `record_type` first.

    Raises:
        TypeError: a value is no plain JSON value; the bus makes every value plain before.
    """
    if type(record) is RunEvent:
        return encode(_event_line(record)) + b"\n"
    if type(record) is MetricsUpdate:
        return encode(_metrics_line(record)) + b"\n"
    if type(record) is DeliveryReport:
        return encode(_delivery_line(record)) + b"\n"
    return encode(_run_line(record)) + b"\n"  # type: ignore[arg-type]  # only RunRecord is left


def _event_line(event: RunEvent) -> _EventLine:
    payload = event.payload if event.payload_bytes is None else RawJSON(event.payload_bytes)
    return _EventLine(
        "event",
        event.run_id,
        event.event_type,
        event.timestamp,
        payload,
        event.writer,
        event.seq,
        event.coerced,
    )


def _metrics_line(update: MetricsUpdate) -> _MetricsLine:
    metrics, fields = dict(update.metrics), dict(update.fields)
    return _MetricsLine(
        "metrics", update.run_id, update.timestamp, metrics, fields, update.writer, update.seq, update.coerced
    )


def _delivery_line(report: DeliveryReport) -> _DeliveryLine:
    return _DeliveryLine(
        *("delivery", report.run_id, report.timestamp, report.sink, report.ok, report.attempts),
        *(report.reason, report.writer, report.seq),
    )


def _run_line(run: RunRecord) -> dict[str, Any]:
    # Readers of the earlier format expect every column as a key, so those stand in the line even when null.
    line: dict[str, Any] = {"record_type": "run"}
    for name in _COLUMNS:
        line[name] = getattr(run, name)
    line["metrics"], line["attributes"] = dict(run.metrics), dict(run.attributes)
    for name in _ADDED:
        if value := getattr(run, name):
            line[name] = value
    if run.coerced:
        line["_coerced"] = run.coerced
    return line


def decode_line(line: bytes) -> Record:
    """
    Return the record that one whole *line* holds; a line of an earlier writer is understood.

    Raises:
        ValueError: the line holds no single record (torn, glued, or of another kind).
    """
    return record_of(decode(line))


def record_of(values: Any) -> Record:
    """
    Return the record that a decoded line describes.

    Raises:
        ValueError: *values* is no mapping, or its `record_type` is unknown, or it names no run.
    """
    if not isinstance(values, dict):
        raise ValueError(f"a journal line must hold an object, not {type(values).__name__}")
    reader = _READERS.get(values.get("record_type"))  # type: ignore[arg-type]  # None finds nothing
    if reader is None or not values.get("run_id"):
        raise ValueError(f"no record of type {values.get('record_type')!r} with a run_id is known")
    return reader(values)


def decode_lines(blob: bytes) -> Iterator[Record]:
    """Yield every record in *blob*; inside a damaged line the records that are whole are found again."""
    for line in blob.split(b"\n"):
        if line.strip():
            yield from _records_in(line)


def _records_in(line: bytes) -> Iterator[Record]:
    try:
        yield decode_line(line)
    except ValueError:
        yield from _whole_records(line)


def _whole_records(line: bytes) -> Iterator[Record]:
    start = line.find(LINE_START)
    while start >= 0:
        text = line[start:].decode("utf-8", "replace")
        try:
            values, end = _scanner.raw_decode(text)
            yield record_of(values)
            # A record inside a payload must not come out as a second one: the search goes on behind this one.
            start = line.find(LINE_START, start + len(text[:end].encode("utf-8", "replace")))
        except (ValueError, RecursionError):
            start = line.find(LINE_START, start + 1)


def _metrics_of(values: Mapping[str, Any]) -> MetricsUpdate:
    return MetricsUpdate(
        str(values["run_id"]),
        str(values.get("timestamp")),
        _mapping(values.get("metrics")),
        _mapping(values.get("fields")),
        values.get("writer"),
        values.get("seq"),
        tuple(values.get("_coerced") or ()),
    )


def _delivery_of(values: Mapping[str, Any]) -> DeliveryReport:
    return DeliveryReport(
        str(values["run_id"]),
        str(values.get("timestamp")),
        str(values.get("sink")),
        bool(values.get("ok", True)),
        int(values.get("attempts") or 0),
        values.get("reason"),
        values.get("writer"),
        values.get("seq"),
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


_READERS: Mapping[str, Any] = {
    "run": lambda values: mended_run(values)[0],
    "event": mended_event,
    "metrics": _metrics_of,
    "delivery": _delivery_of,
}
