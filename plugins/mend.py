"""Make a valid record of whatever was given: nothing is lost, and each change is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import fields, frozen

from .checks import as_json, as_mapping, as_texts
from .errors import InvalidRecord
from .ids import get_iso8601_timestamp, parse_time
from .records import RUN_FIELDS, STATUSES, TRIGGER_TYPES, RunEvent, RunRecord

__all__ = [
    "Complaint",
    "canonical_status",
    "is_status",
    "mend_field",
    "mended_event",
    "mended_run",
    "origin_of",
    "start_of",
]

_FAILED = frozenset(
    (
        "failure",
        "fail",
        "error",
        "errored",
        "timeout",
        "timed_out",
        "cancelled",
        "canceled",
        "crashed",
        "aborted",
    )
)
_SUCCESS = frozenset(("completed", "complete", "succeeded", "successful", "ok", "done", "passed"))
_WHOLE = frozenset(a.name for a in fields(RunRecord) if str(a.type) in ("int", "int | None"))
_FLAGS = frozenset(a.name for a in fields(RunRecord) if str(a.type) == "bool")
_MAPPINGS = frozenset(("metrics", "attributes"))
_UNSAID = _WHOLE | _FLAGS
_DEFAULTS: Mapping[str, Any] = {a.name: a.default for a in fields(RunRecord)} | {
    "agent_name": "unknown",
    "run_id": "unknown",
}
_TIME_IN_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d{1,19}\s*")
_LARGEST = 2**63 - 1  # SQLite's INTEGER; a larger number would be refused by the store


@frozen
class Complaint:
    """What was wrong with one field, and what was done about it."""

    field: str
    value: Any
    done: str

    def __str__(self) -> str:
        shown = repr(self.value)
        return f"{self.field} is {shown if len(shown) <= 80 else shown[:77] + '...'}; {self.done}"


def canonical_status(word: Any) -> str:
    """Return one of success, failed, partial, running for any *word* that somebody uses for it."""
    text = word.strip().lower() if isinstance(word, str) else ""
    if text in STATUSES:
        return text
    if text in _FAILED:
        return "failed"
    return "success" if text in _SUCCESS else "partial"


def is_status(word: object) -> bool:
    """Tell whether *word* is a status, or one of the words that are known to stand for one."""
    text = word.strip().lower() if isinstance(word, str) else ""
    return text in STATUSES or text in _FAILED or text in _SUCCESS


def mended_run(values: Mapping[str, Any]) -> tuple[RunRecord, list[Complaint]]:
    """
    Return a valid run made of *values* (plain JSON values), and a complaint for each change.

    What does not fit its field is kept in `attributes` under the field's name; so is what has no field.
    """
    if (run := _as_it_stands(values)) is not None:
        return run, []
    known = {name: values[name] for name in RUN_FIELDS if name in values and name not in _SPECIAL}
    complaints: list[Complaint] = []
    kept: dict[str, Any] = {key: value for key, value in values.items() if key not in _READ}
    for name, value in known.items():
        known[name] = mend_field(name, value, kept, complaints)
    if "status_detail" in kept and known.get("status_detail") is None:
        known["status_detail"] = kept.pop("status_detail")
    known.setdefault("run_id", "unknown")
    known.setdefault("agent_name", "unknown")
    known.setdefault("start_time", start_of(known["run_id"]) or get_iso8601_timestamp())
    known["metrics"] = {**as_mapping(values.get("metrics_json")), **as_mapping(values.get("metrics"))}
    known["attributes"] = {**as_mapping(values.get("attributes")), **kept}
    known["coerced"] = as_texts(values.get("coerced") or values.get("_coerced"))
    return RunRecord(**known), complaints


def _as_it_stands(values: Mapping[str, Any]) -> RunRecord | None:
    """Return the run if nothing in *values* is to be mended, as in each line that this platform wrote."""
    # 9 us where the long way takes 24: it is most of the time that a rebuild spends on the lines of runs.
    if not values.keys() <= _WRITTEN:
        return None
    # Keys as our own text objects, not as the decoder's: Python finds an argument by identity first, and 34 names
    # that are only equal cost 8 us.
    known = {name: values[name] for name in _WRITTEN_FIELDS if name in values}
    try:
        if any(abs(known.get(name) or 0) > _LARGEST for name in _WHOLE):
            return None
        return RunRecord(**known, coerced=as_texts(values.get("_coerced")))
    except (InvalidRecord, TypeError):
        return None


def mend_field(name: str, value: Any, kept: dict[str, Any], complaints: list[Complaint]) -> Any:
    """
    Return *value* as field *name* can hold it.

    What is changed on the way is put into *kept* (raw, by field name; a status word as `status_detail`) and
    into *complaints*.
    """
    if name == "status":
        return _status(value, kept, complaints)
    if name == "trigger_type":
        return _trigger(value, kept, complaints)
    if value is None and name in _UNSAID:
        return _DEFAULTS[name]  # the stores have null where nothing was counted
    fitting = _fitting(name, value)
    if fitting is value or (fitting == value and type(fitting) is not str and not isinstance(value, bool)):
        return fitting
    kept[name] = value
    complaints.append(Complaint(name, value, f"{fitting!r} is stored and the value kept in attributes.{name}"))
    return fitting


def mended_event(values: Mapping[str, Any]) -> RunEvent:
    """Return a valid event made of a decoded line, whatever its types are."""
    names = {name: str(values.get(name) or "unknown") for name in ("run_id", "event_type", "timestamp")}
    return RunEvent.from_dict({**values, **names, **origin_of(values)})


def origin_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the writer and the number that a decoded line tells, None for what it does not tell rightly."""
    writer, seq = values.get("writer"), values.get("seq")
    return {
        "writer": writer if isinstance(writer, str) else None,
        "seq": seq if isinstance(seq, int) and not isinstance(seq, bool) else None,
    }


def start_of(run_id: Any) -> str | None:
    """Return the start time that a run id of ours tells, to the second, or None."""
    found = _TIME_IN_ID.match(str(run_id))
    if found is None:
        return None
    text = "{}-{}-{}T{}:{}:{}.000000+00:00".format(*found.groups())
    try:
        parse_time(text)
    except ValueError:
        return None  # digits of another meaning: there is no 99th month
    return text


def _status(value: Any, kept: dict[str, Any], complaints: list[Complaint]) -> str:
    word = canonical_status(value)
    if word != value:
        kept["status_detail"] = value if isinstance(value, str) else repr(value)
        complaints.append(Complaint("status", value, f"{word!r} is stored and the word kept in status_detail"))
    return word


def _trigger(value: Any, kept: dict[str, Any], complaints: list[Complaint]) -> str:
    if value in TRIGGER_TYPES:
        return str(value)
    word = value.strip().lower() if isinstance(value, str) else ""
    word = word if word in TRIGGER_TYPES else "manual"
    kept["trigger_type"] = value
    done = f"{word!r} is stored and the word kept in attributes.trigger_type"
    complaints.append(Complaint("trigger_type", value, done))
    return word


def _fitting(name: str, value: Any) -> Any:
    if name in _WHOLE:
        return _whole(name, value)
    if name in _FLAGS:
        return value if isinstance(value, bool) else bool(value) if value in (0, 1) else _DEFAULTS[name]
    if name == "start_time":
        return value if isinstance(value, str) and value else get_iso8601_timestamp()
    if value is None or value == "":
        return _DEFAULTS[name] if name in ("run_id", "agent_name") else value
    return value if type(value) is str else _as_text(value)


def _whole(name: str, value: Any) -> Any:
    number = _number(value)
    if number is None or abs(number) > _LARGEST:
        return _DEFAULTS[name]
    return number


def _number(value: Any) -> int | None:
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float) and value == value and abs(value) <= _LARGEST:
        return int(value)
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return None


def _as_text(value: Any) -> str:
    return as_json(value) if isinstance(value, dict | list) else str(value)


_WRITTEN_FIELDS = tuple(name for name in RUN_FIELDS if name != "coerced")
_WRITTEN = frozenset((*_WRITTEN_FIELDS, "record_type", "_coerced"))
_SPECIAL = frozenset(("metrics", "attributes", "coerced"))
_READ: frozenset[str] = frozenset((*RUN_FIELDS, "metrics_json", "record_type", "_coerced"))
