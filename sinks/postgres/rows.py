"""Turn a run into a row and back: what is read is what was written, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...plugins.checks import as_json, as_mapping, as_texts, parsed
from ...plugins.codec import safe_text, without_surrogates
from ...plugins.errors import InvalidRecord
from ...plugins.ids import parse_time
from ...plugins.mend import mended_run
from ...plugins.records import RUN_FIELDS, RunRecord

__all__ = ["COLUMNS", "JSON_COLUMNS", "LARGEST", "json_text", "moment_of", "plain_text", "row_of", "run_of", "selected"]

LARGEST = 2**63 - 1
"""The largest number that a BIGINT holds."""

JSON_COLUMNS: Mapping[str, str] = {
    "metrics": "metrics_json",
    "attributes": "attributes_json",
    "coerced": "coerced_json",
}
"""The columns that hold a field of `RunRecord` as JSON, by the name of the field."""

COLUMNS: tuple[str, ...] = tuple(JSON_COLUMNS.get(name, name) for name in RUN_FIELDS)
"""The columns of agent_runs that hold the fields of `RunRecord`, in the order of the fields."""

_FLAGS = frozenset(("api_posted", "verdict"))


def row_of(run: RunRecord) -> tuple[Any, ...]:
    """Return what stands of *run* in `COLUMNS`, and its start and end as times."""
    try:
        values = tuple(_stored(name, getattr(run, name)) for name in RUN_FIELDS)
    except OverflowError:
        return row_of(mended_run(run.to_dict())[0])  # a number beyond 64 bits is kept in attributes
    return (*values, moment_of(run.start_time), moment_of(run.end_time))


def _stored(name: str, value: Any) -> Any:
    if name in JSON_COLUMNS:
        return json_text(value if name == "coerced" else dict(value)) if value else None
    if name in _FLAGS:
        return int(value)
    if isinstance(value, int) and abs(value) > LARGEST:
        raise OverflowError(f"{name} has no room in 64 bits")
    return plain_text(value) if isinstance(value, str) else value


def plain_text(text: str) -> str:
    """Return *text* as PostgreSQL can hold it: a NUL, for which it has no room, stands there as its escape."""
    if "\0" not in text and text.isascii():
        return text
    return safe_text(text).replace("\0", "\\x00")


def json_text(value: Any) -> str:
    """Return a plain value as JSON, which the server takes for JSON too."""
    try:
        return as_json(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return json.dumps(without_surrogates(value), default=str)  # a number beyond 64 bits


def moment_of(text: str | None) -> datetime | None:
    """Return a time in ISO 8601 text as one that the server can reckon with, None where it is none."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def selected() -> str:
    """Return the columns for SELECT such that `run_of()` can read them."""
    as_text = frozenset(JSON_COLUMNS.values())
    return ", ".join(f"r.{name}::text" if name in as_text else f"r.{name}" for name in COLUMNS)


def run_of(values: tuple[Any, ...]) -> RunRecord:
    """
    Return the run that a row of `selected()` tells.

    Never fails: what another program wrote into the row and no field can hold is kept in `attributes`.
    """
    known = {name: value for name, value in zip(RUN_FIELDS, values, strict=True) if value is not None}
    known["metrics"] = as_mapping(parsed(known.get("metrics")))
    known["attributes"] = as_mapping(parsed(known.get("attributes")))
    known["coerced"] = as_texts(parsed(known.get("coerced")))
    for name in _FLAGS:
        known[name] = bool(known.get(name))
    try:
        return RunRecord(**known)
    except (InvalidRecord, TypeError):
        return mended_run(known)[0]
