"""Write a record as one journal line and read it back, also out of a damaged or foreign line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from .checks import as_texts
from .codec import RawJSON, decode, encode
from .event_line import plain_event
from .mend import mended_event, mended_run, origin_of
from .pruning import RunPruned
from .records import CommitLink, DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord
from .run_line import plain_run

__all__ = [
    "LINE_START",
    "decode_line",
    "decode_lines",
    "encode_line",
    "kind_of",
    "leading_records",
    "record_of",
    "records_in",
]

LINE_START = b'{"record_type"'
"""How each of our lines begins; the reader finds a record inside a damaged line by it."""

_ADDED = ("parent_run_id", "status_detail", "verdict", "writer", "seq")
_OPENING = (b":", b",", b"[")
_GOING_ON = (b",", b"}", b"]")
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
    attributes: Any = None


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
    if type(record) is CommitLink:
        return encode(_commit_line(record)) + b"\n"
    if type(record) is RunPruned:
        return encode({"record_type": "pruned", **record.to_dict()}) + b"\n"
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
    return _MetricsLine(
        *("metrics", update.run_id, update.timestamp, dict(update.metrics), dict(update.fields)),
        *(update.writer, update.seq, update.coerced, dict(update.attributes) or None),
    )


def _delivery_line(report: DeliveryReport) -> _DeliveryLine:
    return _DeliveryLine(
        *("delivery", report.run_id, report.timestamp, report.sink, report.ok, report.attempts),
        *(report.reason, report.writer, report.seq),
    )


def _commit_line(link: CommitLink) -> dict[str, Any]:
    line = {"record_type": "commit", **link.to_dict()}
    if link.coerced:
        line["_coerced"] = line.pop("coerced")
    return line


def _run_line(run: RunRecord) -> dict[str, Any]:
    # Readers of the earlier format expect every column as a key, so those stand in the line even when null. Copied in
    # one go, in the order of the fields: to fetch one after the other takes 2 us of the 2.8 for a whole line.
    line: dict[str, Any] = {"record_type": "run", **run.__dict__}
    line["metrics"], line["attributes"] = dict(run.metrics), dict(run.attributes)
    for name in _ADDED:
        value = line[name]
        if value is None or value is False:
            del line[name]
    if coerced := line.pop("coerced"):
        line["_coerced"] = coerced
    return line


def decode_line(line: bytes) -> Record:
    """
    Return the record that one whole *line* holds; a line of an earlier writer is understood.

    Raises:
        ValueError: the line holds no single record (torn, glued, or of another kind).
    """
    found = plain_event(line) or plain_run(line)
    return record_of(decode(line)) if found is None else found


def record_of(values: Any) -> Record:
    """
    Return the record that a decoded line describes.

    Raises:
        ValueError: *values* is no mapping, or its `record_type` is unknown, or it names no run.
    """
    if not isinstance(values, dict):
        raise ValueError(f"a journal line must hold an object, not {type(values).__name__}")
    kind = values.get("record_type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None or not values.get("run_id"):
        raise ValueError(f"no record of type {kind!r} with a run_id is known")
    record: Record = reader(values)
    return record


def kind_of(record: Record) -> str:
    """Return the `record_type` under which *record* stands in a journal, such as run or event."""
    return _KINDS[type(record)]


def decode_lines(blob: bytes) -> Iterator[Record]:
    """Yield every record in *blob*; inside a damaged line the records that are whole are found again."""
    for line in blob.split(b"\n"):
        for _, _, record in records_in(line):
            yield record


def records_in(line: bytes) -> Iterator[tuple[int, int, Record]]:
    """
    Yield (first byte, byte after it, record) for every record in *line*, also when the line is damaged.

    Of a line that is as it should be the record reaches to its end, newline included.
    """
    try:
        yield 0, len(line), decode_line(line)
    except ValueError:
        if not line.isspace():
            yield from _whole_records(line)


def leading_records(text: bytes) -> Iterator[tuple[int, int, Record]]:
    """Yield (first byte, byte after it, record) for the records with which *text* begins, up to the first fault."""
    scanned = _Scanned(text)
    start = 0
    while (found := scanned.object_at(start)) is not None:
        values, end = found
        try:
            yield start, end, record_of(values)
        except ValueError:
            return
        start = end


def _whole_records(line: bytes) -> Iterator[tuple[int, int, Record]]:
    scanned = _Scanned(line)
    start = line.find(LINE_START)
    while start >= 0:
        values, end = scanned.object_at(start) or (None, start + 1)
        # A record inside a payload must not come out as a second one: the search goes on behind the outer one,
        # also when that is of a kind that only a later version knows, or is torn behind the inner one.
        if not _is_inside(line, start, end):
            with suppress(ValueError):
                yield start, end, record_of(values)
        start = line.find(LINE_START, end)


def _is_inside(line: bytes, start: int, end: int) -> bool:
    return line[start - 1 : start] in _OPENING and line[end : end + 1] in _GOING_ON


class _Scanned:
    """Bytes in which JSON objects are looked for, at positions that stay byte positions."""

    def __init__(self, text: bytes) -> None:
        # Latin-1 gives one character a byte, and in UTF-8 no part of a longer character looks like a quote or a
        # brace: so the end that is found holds for the bytes, and nothing is decoded twice.
        self._bytes = text
        self._characters = text.decode("latin-1")

    def object_at(self, start: int) -> tuple[Any, int] | None:
        """Return the value that begins at *start* and the position after it, None when none is whole there."""
        try:
            _, end = _scanner.raw_decode(self._characters, start)
            # Bytes that are no UTF-8 cost themselves, not the record they stand in.
            return decode(self._bytes[start:end].decode("utf-8", "replace")), end
        except (ValueError, RecursionError):
            return None


def _metrics_of(values: Mapping[str, Any]) -> MetricsUpdate:
    return MetricsUpdate(
        str(values["run_id"]),
        str(values.get("timestamp") or "unknown"),
        _mapping(values.get("metrics")),
        _mapping(values.get("fields")),
        coerced=as_texts(values.get("_coerced")),
        attributes=_mapping(values.get("attributes")),
        **origin_of(values),
    )


def _delivery_of(values: Mapping[str, Any]) -> DeliveryReport:
    attempts, reason = values.get("attempts"), values.get("reason")
    return DeliveryReport(
        str(values["run_id"]),
        str(values.get("timestamp") or "unknown"),
        str(values.get("sink") or "unknown"),
        bool(values.get("ok", True)),
        attempts if isinstance(attempts, int) else 0,
        reason if isinstance(reason, str) else None,
        **origin_of(values),
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


_READERS: Mapping[str, Any] = {
    "run": lambda values: mended_run(values)[0],
    "event": mended_event,
    "metrics": _metrics_of,
    "delivery": _delivery_of,
    "commit": CommitLink.from_dict,
    "pruned": RunPruned.from_dict,
}

_KINDS: Mapping[type, str] = {
    RunRecord: "run",
    RunEvent: "event",
    MetricsUpdate: "metrics",
    DeliveryReport: "delivery",
    CommitLink: "commit",
    RunPruned: "pruned",
}
