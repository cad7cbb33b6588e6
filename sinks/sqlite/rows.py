"""Turn a run into a row of the store in front of us and back: what has no column there still comes back whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...plugins.checks import as_mapping
from ...plugins.codec import decode, encode
from ...plugins.errors import InvalidRecord
from ...plugins.mend import mended_run
from ...plugins.records import RUN_FIELDS, RunRecord
from .shapes import COLUMNS, EXTRA_COLUMNS, Column, Shape

__all__ = ["extras_of", "fillers_of", "json_text", "known_of", "mapping_of", "row_of", "run_of", "texts_of"]

_HOMELESS = "_columns"
_PRIVATE = frozenset(("id", "event_id", "parent_run_id"))
_FIELDS = frozenset(RUN_FIELDS)
_EXTRAS = frozenset(EXTRA_COLUMNS)
_SCALARS = (str, int, float)


def row_of(run: RunRecord, shape: Shape) -> dict[str, Any]:
    """Return what stands of *run* in agent_runs, by column, in the words of this file."""
    row = {name: getattr(run, name) for name in COLUMNS if name != "metrics_json"}
    row["metrics_json"] = json_text(run.metrics)
    row["api_posted"] = int(run.api_posted)
    return row if shape.is_plain else _fitted(row, run, shape)


def _fitted(row: dict[str, Any], run: RunRecord, shape: Shape) -> dict[str, Any]:
    row["status"] = shape.statuses[run.status]
    row["trigger_type"] = shape.triggers[run.trigger_type]
    row |= {name: value for name in shape.strange if (value := _strange(name, run)) is not None}
    # None is left out: a column may be NOT NULL with a default, and a run never unsets what it has set.
    return {name: value for name, value in row.items() if name in shape.columns and value is not None}


def _strange(name: str, run: RunRecord) -> Any:
    if name in _FIELDS:
        return run.parent_run_id if name == "parent_run_id" else None
    value = run.attributes.get(name)
    return value if isinstance(value, _SCALARS) else None


def _filler(column: Column) -> Any:
    is_time = column.name.endswith(("_at", "_time", "timestamp"))
    return datetime.now(UTC).isoformat() if is_time else column.filler


def fillers_of(row: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Return what a new row needs beside *row*: a fresh UUID for each token, something for what must not be NULL."""
    needed = [column for column in shape.columns.values() if column.is_needed and column.name not in row]
    fillers = {column.name: _filler(column) for column in needed}
    return fillers | {name: _token() for name in shape.tokens}


def _token() -> str:
    import uuid  # 6 ms, for stores of other makers only

    return str(uuid.uuid4())


def extras_of(run: RunRecord, shape: Shape) -> tuple[Any, ...]:
    """Return what stands of *run* in run_extras, in the order of `EXTRA_COLUMNS`."""
    return (
        json_text(run.attributes) if shape.is_plain else json_text(_with_homeless(run, shape)),
        run.parent_run_id,
        run.status_detail,
        int(run.verdict),
        run.writer,
        run.seq,
        json_text(run.coerced),
    )


def _with_homeless(run: RunRecord, shape: Shape) -> dict[str, Any]:
    """Return the attributes, and beside them the values for which this file has no column or no word."""
    default = RunRecord(run_id=run.run_id, agent_name=run.agent_name, start_time=run.start_time)
    lost = {name for name in shape.missing if name in _FIELDS and getattr(run, name) != getattr(default, name)}
    if shape.ours.get(shape.statuses[run.status]) != run.status:
        lost.add("status")
    if shape.triggers[run.trigger_type] != run.trigger_type:
        lost.add("trigger_type")
    if "metrics_json" in shape.missing and run.metrics:
        lost.add("metrics")
    homeless = {name: dict(run.metrics) if name == "metrics" else getattr(run, name) for name in sorted(lost)}
    return {**run.attributes, **({_HOMELESS: homeless} if homeless else {})}


def json_text(value: Any) -> str | None:
    """Return *value* as JSON text, None when it is empty."""
    if not value:
        return None
    plain = value if type(value) in (dict, tuple) else dict(value)
    try:
        return encode(plain).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return json.dumps(plain, default=str)  # a number beyond 64 bits, a lone surrogate


def run_of(values: Mapping[str, Any], shape: Shape) -> RunRecord:
    """
    Return the run that a row tells; *values* has the columns of `Shape.select()` or of the view `runs`, by name.

    Never fails: what another program wrote into the row and no field can hold is kept in `attributes`.
    """
    known = known_of(values)
    if not shape.is_plain:
        known = _from_foreign(known, values, shape)
    try:
        return RunRecord(**known)
    except (InvalidRecord, TypeError):
        return mended_run(known)[0]


def known_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the run that *values* tells, by name, as yet unchecked."""
    known = {name: value for name, value in values.items() if value is not None and name in _FIELDS}
    known["attributes"] = mapping_of(values.get("attributes_json"))
    known["metrics"] = mapping_of(values.get("metrics_json"))
    known["coerced"] = texts_of(values.get("coerced_json"))
    known["api_posted"] = bool(values.get("api_posted"))
    known["verdict"] = bool(values.get("verdict"))
    return known


def _from_foreign(known: dict[str, Any], values: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    attributes = known["attributes"]
    homeless = as_mapping(attributes.pop(_HOMELESS, None))
    for name in shape.strange:
        if name not in _PRIVATE and not shape.columns[name].says_nothing(values.get(name)):
            attributes.setdefault(name, values[name])
    for name in [name for name in known if name in shape.columns and shape.columns[name].is_filler(known[name])]:
        del known[name]
    known["status"] = shape.ours.get(known.get("status", ""), known.get("status"))
    if known["status"] == "running" and known.get("duration_ms") == 0:
        del known["duration_ms"]  # v7 says 0 where nothing is known yet
    return known | homeless


def mapping_of(text: Any) -> dict[str, Any]:
    """Return the mapping that JSON *text* of a row tells; empty for None."""
    if text is None:
        return {}
    if not isinstance(text, str | bytes):
        return as_mapping(text)
    try:
        value = decode(text)
        return value if type(value) is dict else as_mapping(value)
    except ValueError:
        return as_mapping(text)


def texts_of(text: Any) -> tuple[str, ...]:
    """Return the words that JSON *text* of a row tells; empty for None."""
    return tuple(map(str, json.loads(text))) if text else ()
