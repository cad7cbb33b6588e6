"""A changed copy of a run is what attrs.evolve() makes, and checked where it was changed."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from telemetry.plugins.changing import changed, filled
from telemetry.plugins.errors import InvalidRecord
from telemetry.plugins.records import RunRecord

RUN = RunRecord(run_id="r", agent_name="a", start_time="2026-11-23T10:00:00.000000+00:00", metrics={"n": 1})


@pytest.mark.parametrize(
    "changes",
    [{}, {"status": "success", "duration_ms": 5}, {"metrics": {"n": 2}, "attributes": {"x": []}}, {"coerced": ("a",)}],
)
def test_it_is_what_evolve_makes(changes: dict[str, Any]) -> None:
    """Equal in every field, and the run itself stays as it was."""
    before = attrs.asdict(RUN)

    copy = changed(RUN, **changes)

    assert attrs.evolve(RUN, **changes) == copy == filled(RUN, changes)
    assert before == attrs.asdict(RUN)
    assert copy is not RUN


@pytest.mark.parametrize("changes", [{"status": "done"}, {"items_failed": True}, {"host": 5}, {"metrics": []}])
def test_what_is_changed_is_checked(changes: dict[str, Any]) -> None:
    """As it is when a run is made."""
    with pytest.raises(InvalidRecord):
        changed(RUN, **changes)


def test_a_run_has_no_further_fields() -> None:
    """A name that is none would otherwise be carried along unseen."""
    with pytest.raises(KeyError, match="colour"):
        changed(RUN, colour="red")


def test_a_copy_cannot_be_changed_either() -> None:
    """It is a record like any other."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        changed(RUN).status = "failed"  # type: ignore[misc]
