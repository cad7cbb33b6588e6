"""Read the line of a run at the speed of the decoder, which checks each field on its way."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from attrs import fields

from .records import STATUSES, TRIGGER_TYPES, RunRecord

__all__ = ["plain_run"]

_START = b'{"record_type":"run"'
_LARGEST = 2**63 - 1  # SQLite's INTEGER
_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Whole = Annotated[int, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_TYPES: dict[str, Any] = {
    "bool": bool,
    "int": _Whole,
    "int | None": _Whole | None,
    "str": _Name,
    "str | None": str | None,
    "Mapping[str, Any]": dict[str, Any],
}
_WORDS: dict[str, Any] = {"status": Literal[STATUSES], "trigger_type": Literal[TRIGGER_TYPES]}
# A line in which anything was coerced says so, and is left to the longer way.
_FIELDS = [field for field in fields(RunRecord) if field.name != "coerced"]


def _declared(field: Any) -> Any:
    kind = _WORDS.get(field.name, _TYPES[str(field.type)])
    is_needed = field.name in ("run_id", "agent_name", "start_time", "metrics", "attributes")
    return (field.name, kind) if is_needed else (field.name, kind, field.default)


_decode = msgspec.json.Decoder(
    msgspec.defstruct(
        "_Line",
        [_declared(field) for field in _FIELDS],
        tag_field="record_type",
        tag="run",
        forbid_unknown_fields=True,
        kw_only=True,
    )
).decode
_NAMES = [field.name for field in _FIELDS]
_new = object.__new__


def plain_run(line: bytes) -> RunRecord | None:
    """Return the run in a *line* that is just as this platform writes it, None for any other line."""
    if not line.startswith(_START):
        return None
    try:
        values = msgspec.structs.astuple(_decode(line))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # The record's own constructor would check every field again, at 11 us; `changed()` fills its dict in the same way.
    run = _new(RunRecord)
    run.__dict__.update(zip(_NAMES, values, strict=True), coerced=())
    return run
