"""Receive what agents hand over: accept it, annotate what had to change, warn; never lose, never raise."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from ..plugins.complaints import Complaints
from ..plugins.errors import InputError
from ..plugins.mend import Complaint, mend_field, mended_run
from ..plugins.records import SETTABLE_FIELDS, RunRecord
from .snapshot import snapshot, snapshot_mapping

__all__ = ["Intake", "Settings"]

_log = logging.getLogger("telemetry.client")
_RESERVED = frozenset(("status", "trigger_type"))


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
        if not isinstance(value, str) or not value:
            self.warn(Complaint(name, plain, f"{given!r} is stored"))
        return given

    def run(self, values: Mapping[str, Any]) -> RunRecord:
        """Return a valid run record of *values*; unknown keys are kept in its attributes."""
        plain, coerced = snapshot_mapping(values)
        run, complaints = mended_run({**plain, "coerced": coerced})
        self.warn(*complaints)
        return run

    def metrics(self, values: Mapping[str, Any]) -> Settings:
        """Sort what `set_metrics()` was given: known fields of the record apart, everything else is a metric."""
        settings = self._sorted(values)
        strangers = [name for name in settings.attributes if name not in settings.fields]
        settings.metrics.update((name, settings.attributes.pop(name)) for name in strangers)
        self._look_for_near_misses(strangers)
        return settings

    def ending(self, values: Mapping[str, Any]) -> Settings:
        """Sort what `end_run()` was given: known fields apart, `metrics` merged, unknown keys are attributes."""
        return self._sorted(values)

    def status(self, word: Any, settings: Settings) -> str:
        """Return the canonical status of *word*; the raw word is put into *settings* as `status_detail`."""
        kept: dict[str, Any] = {}
        complaints: list[Complaint] = []
        status: str = mend_field("status", snapshot(word).value, kept, complaints)
        if status == "running":
            status, kept = "partial", {"status_detail": "running"}
            complaints.append(Complaint("status", word, "a run that ends is not running; 'partial' is stored"))
        if kept:
            settings.fields.setdefault("status_detail", str(kept["status_detail"]))
        self.warn(*complaints)
        return status

    def _sorted(self, values: Mapping[str, Any]) -> Settings:
        plain, coerced = snapshot_mapping(values)
        settings = Settings(coerced=coerced)
        complaints: list[Complaint] = []
        for name, value in plain.items():
            self._sort(name, value, settings, complaints)
        self.warn(*complaints)
        return settings

    def _sort(self, name: str, value: Any, settings: Settings, complaints: list[Complaint]) -> None:
        if name in ("metrics", "metrics_json"):
            settings.metrics.update(_as_mapping(value))
        elif name == "attributes":
            settings.attributes.update(_as_mapping(value))
        elif name in SETTABLE_FIELDS or name in _ENDING_FIELDS:
            if value is not None:
                settings.fields[name] = mend_field(name, value, settings.attributes, complaints)
        else:
            settings.attributes[name] = value

    def _look_for_near_misses(self, names: Iterable[str]) -> None:
        for name in names:
            near = difflib.get_close_matches(name, SETTABLE_FIELDS, n=1, cutoff=0.85)
            if near:
                self.warn(Complaint("metric", name, f"it is kept as a metric; did you mean the field {near[0]!r}?"))

    def warn(self, *complaints: Complaint) -> None:
        """
        Log each complaint, at most once a minute a field.

        Raises:
            InputError: in strict mode, instead of logging.
        """
        for complaint in complaints:
            if self.is_strict:
                raise InputError(f"{complaint}. (TELEMETRY_STRICT is on)")
            self._complaints.say(f"{complaint.field}:{complaint.done}", "%s", complaint)


_ENDING_FIELDS = frozenset(("status_detail", "end_time", "duration_ms", "agent_owner", "host"))


def _as_mapping(value: Any) -> dict[str, Any]:
    from ..plugins.checks import as_mapping

    return as_mapping(value)
