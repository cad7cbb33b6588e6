"""Fold the lines of a run into its record: one rule for every store, so that they agree in the end."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import attrs

from .changing import changed
from .ids import calculate_duration_ms
from .mend import start_of
from .records import SETTABLE_FIELDS, DeliveryReport, MetricsUpdate, RunRecord

__all__ = ["agent_of", "fold", "placeholder"]

_IDENTITY = ("agent_name", "agent_owner", "job_type", "trigger_type", "start_time", "host", "parent_run_id")
_SUMMARIES = ("error_summary", "output_summary")
_RESULT = ("end_time", "status", "duration_ms", "status_detail", "verdict", *_SUMMARIES)
_ORIGIN = ("writer", "seq")
_DEFAULTS: dict[str, Any] = {attribute.name: attribute.default for attribute in attrs.fields(RunRecord)}


def fold(known: RunRecord | None, line: RunRecord | MetricsUpdate | DeliveryReport) -> RunRecord:
    """
    Return the record of a run after one more *line* about it.

    Holds for lines in journal order; applying the last line of a run again changes nothing. A real end wins over a
    verdict, otherwise the first end wins; the start line says who the run is; None and defaults overwrite nothing.

    Args:
        known: the record so far, None when nothing is known.
        line: of the same run.
    """
    if isinstance(line, RunRecord):
        return _completed(line if known is None else _with_run(known, line))
    run = placeholder(line.run_id, line.timestamp) if known is None else known
    return _with_metrics(run, line) if isinstance(line, MetricsUpdate) else _with_delivery(run, line)


def placeholder(run_id: str, timestamp: str) -> RunRecord:
    """Return what can be known of a run whose start was never seen: what its id tells."""
    return RunRecord(
        run_id=run_id,
        agent_name=agent_of(run_id),
        start_time=start_of(run_id) or timestamp,
        trigger_type="manual",
    )


def agent_of(run_id: str) -> str:
    """Return the agent that a run id of ours tells, `unknown` when it tells none."""
    agent = run_id[17:-9] if start_of(run_id) else ""
    return agent or "unknown"


def _with_run(known: RunRecord, line: RunRecord) -> RunRecord:
    if line.is_running:
        return _restarted(known, line) if known.is_running else _filled(known, line, first=_values(line, _IDENTITY))
    if known.is_running:
        who = line if _is_guessed(known) else known
        return _filled(line, known, first={**_values(who, _IDENTITY), **_said_before(known, line)})
    if known.verdict and not line.verdict:
        return _filled(line, known, first=_values(known, _IDENTITY))
    return _filled(known, line, first={})


def _said_before(known: RunRecord, line: RunRecord) -> dict[str, Any]:
    # Only of a run that goes on: what a verdict or an earlier end said belongs to that end.
    return {name: getattr(known, name) for name in _SUMMARIES if getattr(line, name) is None}


def _values(run: RunRecord, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(run, name) for name in names}
    return {name: value for name, value in values.items() if value is not None and value != "unknown"}


def _is_guessed(known: RunRecord) -> bool:
    """Whether who the run is was only guessed from its id, since no line of the run itself was seen so far."""
    if known.writer is not None or known.trigger_type != "manual":
        return False
    guess = placeholder(known.run_id, known.start_time)
    return all(getattr(known, name) == getattr(guess, name) for name in _IDENTITY)


def _restarted(known: RunRecord, line: RunRecord) -> RunRecord:
    # Of two starts under one id the later has the say in everything, its writer included: a verdict is only written
    # on runs of the dead writer. So the rows agree with the lines in whatever order the starts come.
    who = {**_values(known, _IDENTITY), **_values(line, _IDENTITY)}
    return _filled(line, known, first={**who, **_said_before(known, line)})


def _filled(winner: RunRecord, other: RunRecord, first: dict[str, Any]) -> RunRecord:
    """Return *winner* with *first* put over it, and what it leaves open taken from *other*."""
    both = zip(_FILLABLE, _fillable_values(winner), _fillable_values(other), strict=True)
    changes = {name: value for (name, default), own, value in both if own == default and value != default}
    changes["metrics"] = {**other.metrics, **winner.metrics}
    changes["attributes"] = {**other.attributes, **winner.attributes}
    return changed(winner, **{**changes, **first})


_FIXED = frozenset(("run_id", "schema_version", "trigger_type", "metrics", "attributes", *_RESULT, *_ORIGIN))
_FILLABLE = tuple((name, default) for name, default in _DEFAULTS.items() if name not in _FIXED)
_fillable_values = attrgetter(*(name for name, _ in _FILLABLE))


def _completed(run: RunRecord) -> RunRecord:
    if run.end_time is None or run.duration_ms is not None:
        return run
    try:
        return changed(run, duration_ms=calculate_duration_ms(run.start_time, run.end_time))
    except ValueError:
        return run  # a time of an earlier writer that is no time: the duration stays unknown


def _with_metrics(run: RunRecord, update: MetricsUpdate) -> RunRecord:
    if _is_contained(run, update):
        return run
    settable = {name: value for name, value in update.fields.items() if _fits(name, value)}
    attributes = {**run.attributes, **update.attributes}
    return changed(run, metrics={**run.metrics, **update.metrics}, attributes=attributes, **settable)


def _fits(name: str, value: Any) -> bool:
    return type(value) is SETTABLE_FIELDS.get(name)


def _is_contained(run: RunRecord, update: MetricsUpdate) -> bool:
    # The end line carries all that its writer set before; an older update, read again, must not undo a later one.
    if run.is_running or run.writer != update.writer or run.seq is None or update.seq is None:
        return False
    return update.seq < run.seq


def _with_delivery(run: RunRecord, report: DeliveryReport) -> RunRecord:
    retries = max(run.api_retry_count, report.attempts)
    if not report.ok:
        return changed(run, api_retry_count=retries)
    return changed(run, api_posted=True, api_posted_at=report.timestamp, api_retry_count=retries)
