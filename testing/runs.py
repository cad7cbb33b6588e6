"""Find the run that a test is about, and say what is otherwise about it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from attrs import define, field

from ..core.reading import open_store
from ..plugins.records import RUN_FIELDS, RunEvent, RunRecord
from ..plugins.store import RunQuery
from ..plugins.typed import nearest

__all__ = ["assert_run"]

_SHOWN = 5


def assert_run(
    source: Any,
    agent: str | None = None,
    job: str | None = None,
    *,
    status: str = "success",
    events: Sequence[str] | None = None,
    metrics: Mapping[str, Any] | None = None,
    **fields: Any,
) -> RunRecord:
    """
    Return the one run that is as described; fail, and show what there is instead, when there is none or more than one.

    A value is compared with `==` (so `pytest.approx` works), a compiled pattern is searched for in the text.

    Args:
        source: a `MemorySink`, a `TelemetryClient`, a store, or the path of a base directory.
        agent: the agent's name, any when None.
        job: the job's type, any when None.
        status: the status with which it ended; `running` for one that has not.
        events: the types of all its events, in their order.
        metrics: metrics that it has, among others.
        fields: further fields of `RunRecord`, as `items_succeeded=3`.

    Raises:
        AssertionError: no run is as described, or several are.
        TypeError: *source* is none of these, or a field is no field of a run.
    """
    unknown = [name for name in fields if name not in RUN_FIELDS]
    if unknown:
        raise TypeError(f"{unknown[0]!r} is no field of a run{nearest(unknown[0], RUN_FIELDS)}; metrics go to metrics=")
    named = [seen for seen in _seen_in(source) if seen.is_of(agent, job)]
    wanted = {"status": status, **fields}
    differences = [(seen.run, seen.differences(wanted, metrics or {}, events)) for seen in named]
    fitting = [run for run, found in differences if not found]
    if len(fitting) != 1:
        raise AssertionError(_message(_title(agent, job), len(fitting), differences))
    return fitting[0]


@define
class _Seen:
    """A run, and its events."""

    run: RunRecord
    events: list[RunEvent] = field(factory=list)

    def is_of(self, agent: str | None, job: str | None) -> bool:
        """Whether it is a run of this agent and this job; None stands for any."""
        return agent in (None, self.run.agent_name) and job in (None, self.run.job_type)

    def differences(
        self, wanted: Mapping[str, Any], metrics: Mapping[str, Any], events: Sequence[str] | None
    ) -> list[str]:
        """Return a sentence for each thing that is otherwise."""
        found = [(name, getattr(self.run, name), value) for name, value in wanted.items()]
        found += [(f"metrics[{name!r}]", self.run.metrics.get(name), value) for name, value in metrics.items()]
        if events is not None:
            found.append(("events", [event.event_type for event in self.events], list(events)))
        return [f"{name} is {_short(is_)}, not {_short(wants)}" for name, is_, wants in found if not _fits(is_, wants)]


def _seen_in(source: Any) -> list[_Seen]:
    runs, events = _contents(source)
    seen = {run.run_id: _Seen(run) for run in runs}
    for event in events:
        if event.run_id in seen:
            seen[event.run_id].events.append(event)
    return list(seen.values())


def _contents(source: Any) -> tuple[list[RunRecord], list[RunEvent]]:
    if isinstance(source, str | os.PathLike):
        with closing(open_store(source)) as store:
            return list(store.runs(RunQuery(limit=None))), list(store.events())
    memory = next(_memories_of(source), None)
    if memory is not None:
        return list(memory.runs.values()), memory.events
    if callable(getattr(source, "track_run", None)):
        return list(source.runs(limit=None)), list(source.events())
    if callable(getattr(source, "find_ids", None)):
        return list(source.runs(RunQuery(limit=None))), list(source.events())
    raise TypeError(
        f"source is of type {type(source).__name__}; give a MemorySink, a TelemetryClient, a store or a base directory"
    )


def _memories_of(source: Any) -> Iterator[Any]:
    """Yield what keeps records in memory: *source* itself, or a sink of the client that it is."""
    sinks = source._setup.sinks.values() if hasattr(source, "_setup") else (source,)
    return (sink for sink in sinks if isinstance(getattr(sink, "records", None), list) and hasattr(sink, "events"))


def _fits(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(found, str) and wanted.search(found) is not None
    return bool(found == wanted)


def _title(agent: str | None, job: str | None) -> str:
    return " ".join(["run", *([f"of agent {agent!r}"] if agent else []), *([f"with job {job!r}"] if job else [])])


def _message(title: str, fitting: int, differences: Sequence[tuple[RunRecord, list[str]]]) -> str:
    if fitting:
        return f"{fitting} runs are as described, not one; say more about the {title}"
    if not differences:
        return f"there is no {title}; nothing of it was recorded in this source"
    lines = [f"- {run.run_id}: {'; '.join(found)}" for run, found in differences[:_SHOWN]]
    more = [f"- and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []
    return "\n".join([f"no {title} is as described:", *lines, *more])


def _short(value: Any) -> str:
    text = value.pattern if isinstance(value, re.Pattern) else repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
