"""Receive what agents hand over: accept it, annotate what had to change, warn; never lose, never raise."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from attrs import define, field

from ..plugins.checks import as_mapping, parsed
from ..plugins.complaints import Complaints
from ..plugins.ids import parse_time
from ..plugins.mend import Complaint, mend_field, mended_run
from ..plugins.records import SETTABLE_FIELDS, STATUSES, RunRecord
from .plain import plain_run, plain_settings
from .shield import attempt, warn
from .snapshot import snapshot, snapshot_mapping

__all__ = ["Intake", "Settings"]

_log = logging.getLogger("telemetry.client")
_ENDING_FIELDS = frozenset((*SETTABLE_FIELDS, "status_detail", "end_time", "duration_ms", "agent_owner", "host"))
_ENDS = frozenset(STATUSES) - {"running"}
_TABLES = ("metrics", "metrics_json", "attributes")
# What the platform alone says of a run at its start; an agent's field of such a name is one of its own.
_OURS = frozenset(
    ("record_type", "_coerced", "coerced", "writer", "seq", "verdict", "schema_version", "status", "end_time")
)


@define
class Settings:
    """What `set_metrics()` or `end_run()` was given, sorted: known fields, free metrics, attributes, change notes."""

    fields: dict[str, Any] = field(factory=dict)
    metrics: dict[str, Any] = field(factory=dict)
    attributes: dict[str, Any] = field(factory=dict)
    coerced: tuple[str, ...] = ()


class Intake:
    """
    The client's customs: every value passes here once.

    Args:
        is_strict: raise `InputError` where otherwise a warning is logged.
    """

    def __init__(self, is_strict: bool = False) -> None:
        self.is_strict = is_strict
        self._complaints = Complaints(_log)

    def text(self, name: str, value: Any) -> str:
        """Return *value* as text that is not empty; what is no text is described and warned of."""
        if type(value) is str and value and value.isascii():
            return value
        plain = snapshot(value).value
        given = plain if isinstance(plain, str) and plain else f"<{'empty' if plain == '' else plain}>"
        if not issubclass(type(value), str) or not plain:
            self.warn(Complaint(name, plain, f"{given!r} is stored"))
        return given

    def amount(self, by: Any) -> float | None:
        """Return *by* as a number to add; what is none is warned of, and kept by the client as an event."""
        plain = snapshot(by).value
        if type(plain) in (int, float):
            return plain  # type: ignore[no-any-return]
        number, failure = attempt(float, by)  # a Decimal is as good as any
        if failure is None and math.isfinite(number):
            return float(number)
        self.warn(Complaint("by", plain, "it is no number to add, and kept as an event"))
        return None

    def run(self, said: Mapping[str, Any], given: Mapping[str, Any]) -> RunRecord:
        """
        Return a valid run record of what the platform has *said* and the agent has *given*, which wins.

        Keys of *given* that no run has, and those that the platform alone may say, are kept in its attributes.
        """
        if (run := plain_run(said, given)) is not None:
            return run
        plain, coerced = snapshot_mapping({**said, **_with_tables(given)})
        kept = {name: plain.pop(name) for name in given if name in _OURS and plain[name] != said.get(name)}
        complaints = [Complaint(name, value, f"it is kept in attributes.{name}") for name, value in kept.items()]
        plain |= {name: said[name] for name in kept if name in said}
        complaints += _mend_time("start_time", plain, kept, otherwise=said["start_time"])
        if kept:
            plain["attributes"] = {**as_mapping(plain.get("attributes")), **kept}
        run, found = mended_run({**plain, "_coerced": coerced})
        self.warn(*complaints, *found)
        return run

    def metrics(self, values: Mapping[str, Any]) -> Settings:
        """Sort what `set_metrics()` was given: known fields of the record apart, everything else is a metric."""
        settings = Settings()
        self._sort(values, settings, SETTABLE_FIELDS.keys(), others=settings.metrics)
        self._look_for_near_misses(name for name in values if type(name) is str and name not in SETTABLE_FIELDS)
        return settings

    def together(self, table: Any, more: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what `set_metrics()` was given as a table and by keyword as one table, in which the keyword wins."""
        if table is None:
            return more
        pairs, failure = attempt(_pairs_of, table)
        if failure is not None:
            plain = snapshot(table).value
            pairs = as_mapping(plain)
            self.warn(Complaint("metrics", plain, f"it is no table of metrics, and kept as {', '.join(pairs)}"))
        return {**pairs, **more}

    def ending(self, values: Mapping[str, Any]) -> Settings:
        """Sort what `end_run()` was given: known fields apart, `metrics` merged, unknown keys are attributes."""
        if (plain := plain_settings(values)) is not None:
            return Settings(plain)
        settings = Settings()
        self._sort(values, settings, _ENDING_FIELDS, others=settings.attributes)
        return settings

    def status(self, word: Any, settings: Settings) -> str:
        """Return the canonical status of *word*; the raw word is put into *settings* as `status_detail`."""
        if type(word) is str and word in _ENDS:
            return word
        kept: dict[str, Any] = {}
        complaints: list[Complaint] = []
        plain = snapshot(word).value
        status: str = mend_field("status", plain, kept, complaints)
        if status == "running":
            status, kept = "partial", {"status_detail": plain}
            complaints = [Complaint("status", plain, "a run that ends is not running; 'partial' is stored")]
        if kept:
            settings.fields.setdefault("status_detail", str(kept["status_detail"]))
        self.warn(*complaints)
        return status

    def _sort(
        self, values: Mapping[str, Any], settings: Settings, fields: Collection[str], others: dict[str, Any]
    ) -> None:
        plain, settings.coerced = snapshot_mapping(_with_tables(values))
        complaints: list[Complaint] = []
        if "end_time" in plain and "end_time" in fields:
            complaints += _mend_time("end_time", plain, settings.attributes, otherwise=None)
        for name, value in plain.items():
            if name in ("metrics", "metrics_json"):
                settings.metrics.update(as_mapping(value))
            elif name == "attributes":
                settings.attributes.update(as_mapping(value))
            elif name not in fields:
                others[name] = value
            elif value is not None:
                settings.fields[name] = mend_field(name, value, settings.attributes, complaints)
        self.warn(*complaints)

    def _look_for_near_misses(self, names: Iterable[str]) -> None:
        for name in names:
            near = _near_miss(name)
            if near is not None:
                self.warn(Complaint("metric", name, f"it is kept as a metric; did you mean the field {near!r}?"))

    def warn(self, *complaints: Complaint) -> None:
        """
        Log each complaint, at most once a minute a field; secrets in it are hidden.

        Raises:
            InputError: in strict mode, instead of logging.
        """
        warn(self._complaints, complaints, is_strict=self.is_strict)


def _pairs_of(table: Any) -> dict[Any, Any]:
    # Not dict(): it takes some lists and texts for pairs.
    return {name: table[name] for name in table.keys()}  # noqa: SIM118


def _with_tables(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* with the tables that are JSON text read; before they are sealed, since JSON may hold NaN."""
    found = {name: parsed(values[name]) for name in _TABLES if type(values.get(name)) is str}
    return {**values, **found}


def _mend_time(name: str, values: dict[str, Any], kept: dict[str, Any], otherwise: str | None) -> list[Complaint]:
    """Write the time of this *name* as the stores do, in UTC; what is no time goes from *values* to *kept*."""
    given = values.get(name)
    if given is None:
        values[name] = otherwise
        return []
    try:
        values[name] = parse_time(given).isoformat(timespec="microseconds")
    except ValueError:
        values[name], kept[name] = otherwise, given
        return [Complaint(name, given, f"the present is stored and the value kept in attributes.{name}")]
    return []


@lru_cache(maxsize=1_000)
def _near_miss(name: str) -> str | None:
    import difflib  # 4 ms, for those who set metrics

    # 200 us a name, which an agent may set at every step.
    near = difflib.get_close_matches(name, SETTABLE_FIELDS, n=1, cutoff=0.85)
    return near[0] if near else None
