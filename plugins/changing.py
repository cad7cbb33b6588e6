"""Make a changed copy of a run: what stays was checked when the run was made, and is not checked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import fields

from .records import RunRecord

__all__ = ["changed", "filled"]

_ATTRIBUTES = {attribute.name: attribute for attribute in fields(RunRecord)}


def changed(run: RunRecord, **changes: Any) -> RunRecord:
    """
    Return *run* with *changes*, each of which is checked.

    Raises:
        InvalidRecord: a field was given a value that it cannot hold.
        KeyError: a run has no such field.
    """
    # attrs.evolve() reads, hands on and checks all 38 fields: 12.5 us, this 3. An end_run() of 60 us takes 50 with it.
    copy = RunRecord.__new__(RunRecord)
    values = copy.__dict__
    values.update(run.__dict__)
    for name, value in changes.items():
        attribute = _ATTRIBUTES[name]
        if attribute.validator is not None:
            attribute.validator(copy, attribute, value)
        values[name] = value
    return copy


def filled(run: RunRecord, values: Mapping[str, Any]) -> RunRecord:
    """Return *run* with *values* that need no check: the platform has made each of them, or made it fit its field."""
    # 0.5 us; `changed()` takes 4 for the ten values with which a run ends.
    copy = RunRecord.__new__(RunRecord)
    copy.__dict__.update(run.__dict__)
    copy.__dict__.update(values)
    return copy
