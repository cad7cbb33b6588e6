"""Lines of a run fold into one record by one rule, so that every store says the same in the end."""

from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import DeliveryReport, MetricsUpdate, RunRecord, fold
from telemetry.plugins.merge import agent_of, placeholder
from telemetry.plugins.records import RUN_FIELDS

pytestmark = pytest.mark.once

START = "2026-11-23T10:00:00.000000+00:00"
END = "2026-11-23T10:00:02.500000+00:00"
LATER = "2026-11-23T10:09:00.000000+00:00"
RUN_ID = "20261123T100000Z-seo-12345678"
IDENTITY = ("agent_name", "agent_owner", "job_type", "trigger_type", "start_time", "host", "parent_run_id")


def started(**fields: Any) -> RunRecord:
    """Return a run that has begun."""
    return RunRecord(
        **{
            "run_id": RUN_ID,
            "agent_name": "seo",
            "start_time": START,
            "writer": "w",
            "seq": 1,
            "job_type": "j",
            **fields,
        }
    )


def ended(**fields: Any) -> RunRecord:
    """Return the same run at its end."""
    return started(**{"status": "success", "end_time": END, "duration_ms": 2_500, "seq": 9, **fields})


def folded(*lines: Any) -> RunRecord:
    """Return what the lines come to."""
    run: RunRecord | None = None
    for line in lines:
        run = fold(run, line)
    assert run is not None
    return run


def lines_of_one_run(any_valid: SimpleNamespace) -> st.SearchStrategy[list[Any]]:
    """Return a strategy for lines of every kind about one run."""
    same = st.just(RUN_ID)
    line = any_valid.runs(same) | any_valid.updates(same) | any_valid.reports(same)
    return st.lists(line, min_size=1, max_size=4)


@given(st.data())
def test_the_last_line_again_changes_nothing(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """A catch-up that stopped between two lines may read the last one twice."""
    lines = data.draw(lines_of_one_run(any_valid))

    assert folded(*lines) == folded(*lines, lines[-1])


@given(st.data())
def test_a_run_that_has_ended_stays_ended(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Whatever comes behind a real end, its outcome stands."""
    end = attrs.evolve(data.draw(any_valid.runs(st.just(RUN_ID))), status="partial", verdict=False)
    behind = data.draw(lines_of_one_run(any_valid))

    run = folded(started(), end, *behind)

    assert ("partial", end.end_time, end.status_detail) == (run.status, run.end_time, run.status_detail)
    assert not run.verdict


@given(st.data())
def test_none_and_defaults_overwrite_nothing(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """What was set in a run that goes on is there behind its end, unless the end says otherwise."""
    start = attrs.evolve(data.draw(any_valid.runs(st.just(RUN_ID))), status="running", verdict=False)
    end = ended(items_failed=0, output_summary=None, error_summary=None)

    run = folded(start, end)

    assert start.items_failed == run.items_failed
    assert start.output_summary == run.output_summary
    assert start.error_summary == run.error_summary
    assert start.product == run.product
    assert {**start.metrics, **end.metrics} == run.metrics


@given(st.data())
def test_the_start_line_says_who_the_run_is(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Also when it comes behind the end, as from another process's journal."""
    start = attrs.evolve(data.draw(any_valid.runs(st.just(RUN_ID))), status="running", agent_name="seo")
    foreign_end = attrs.evolve(placeholder(RUN_ID, LATER), status="failed", end_time=LATER, writer="other", seq=1)

    forwards, backwards = folded(start, foreign_end), folded(foreign_end, start)

    said = {name: value for name in IDENTITY if (value := getattr(start, name)) not in (None, "unknown")}
    for run in (forwards, backwards):
        assert said == {name: getattr(run, name) for name in said}
        assert ("failed", LATER) == (run.status, run.end_time)


@given(st.data())
def test_every_kind_of_line_alone_makes_a_run(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """A journal may have lost all but one line of a run."""
    line = data.draw(lines_of_one_run(any_valid))[0]

    assert RUN_ID == fold(None, line).run_id


def test_an_end_completes_its_start() -> None:
    """Who from the start, how it went from the end."""
    run = folded(started(host="h1", items_failed=2), ended(host=None, items_failed=0, metrics={"a": 1}))

    assert ("h1", 2, {"a": 1}, "success", 2_500) == (
        run.host,
        run.items_failed,
        run.metrics,
        run.status,
        run.duration_ms,
    )


def told_at_the_start() -> dict[str, Any]:
    """Return a value for every field that a start can tell and its end leave out."""
    by_end = ("end_time", "status", "duration_ms", "status_detail", "verdict", "writer", "seq")
    by_type = {"int": 7, "bool": True, "tuple[str, ...]": ("product",), "Mapping[str, Any]": {"told": 1}}
    special = {"trigger_type": "web", "start_time": "2026-11-23T09:00:00.000000+00:00"}
    fields = [field for field in attrs.fields(RunRecord) if field.name not in ("run_id", "schema_version", *by_end)]
    return {field.name: special.get(field.name, by_type.get(field.type, "told")) for field in fields}


@pytest.mark.parametrize("name", told_at_the_start())
def test_an_end_takes_from_its_start_what_it_leaves_out(name: str) -> None:
    """Whichever field it is, alone: the start told it, and the end says nothing or something else of who it was."""
    value = told_at_the_start()[name]

    run = folded(started(**{name: value}), ended())

    assert value == getattr(run, name)
    assert ("success", END, 9) == (run.status, run.end_time, run.seq)


@pytest.mark.parametrize("more", [{}, {"items_failed": 3, "metrics": {"n": 1}, "output_summary": "done"}])
@pytest.mark.parametrize("said", [{}, {"product": "p", "host": "h", "attributes": {"a": 1}}])
def test_an_end_that_repeats_its_start_is_the_run(said: dict[str, Any], more: dict[str, Any]) -> None:
    """As our own agents write it: nothing is to be taken from the start."""
    end = ended(**said, **more)

    assert end == folded(started(**said), end)


def test_the_first_end_wins() -> None:
    """A second end is kept apart by the client; here it only fills what the first left open."""
    run = folded(started(), ended(), ended(status="failed", end_time=LATER, error_summary="boom", host="h", seq=10))

    assert ("success", END, None, "h") == (run.status, run.end_time, run.error_summary, run.host)


def test_a_real_end_beats_a_verdict() -> None:
    """Before or behind it: the true owner knows better than whoever found it gone."""
    verdict = ended(
        status="failed", status_detail="killed", error_summary="killed by SIGKILL", end_time=LATER, verdict=True, seq=1
    )

    for run in (folded(started(), verdict, ended()), folded(started(), ended(), verdict)):
        assert ("success", END, False) == (run.status, run.end_time, run.verdict)
        assert (None, None, 2_500) == (run.status_detail, run.error_summary, run.duration_ms)


def test_of_two_verdicts_the_first_stands() -> None:
    """Two who look at the same dead run agree."""
    first = ended(status="failed", status_detail="killed", verdict=True)

    run = folded(started(), first, ended(status="failed", status_detail="gone", verdict=True, end_time=LATER))

    assert ("killed", END, True) == (run.status_detail, run.end_time, run.verdict)


def test_an_end_without_duration_gets_it_from_the_start() -> None:
    """A foreign end does not know the start, the fold does; also when the end is all there is."""
    foreign = ended(duration_ms=None, start_time=START)

    assert (2_500, 2_500) == (folded(started(), foreign).duration_ms, folded(foreign).duration_ms)


def test_a_time_that_is_none_leaves_the_duration_open() -> None:
    """A line of an earlier writer does not stop the fold."""
    assert folded(started(start_time="yesterday"), ended(start_time="yesterday", duration_ms=None)).duration_ms is None


def test_metrics_and_fields_are_set_in_order() -> None:
    """The last value of a key wins; a field that is none of the settable ones, or does not fit, is left out."""
    first = MetricsUpdate("r", END, {"loss": 1, "step": 1}, {"product": "p"}, "w", 2, (), {"raw": 1})
    second = MetricsUpdate("r", END, {"loss": 2}, {"items_failed": 3, "status": "failed", "items_succeeded": True})

    run = folded(started(), first, second)

    assert ({"loss": 2, "step": 1}, {"raw": 1}) == (run.metrics, run.attributes)
    assert ("p", 3, 0, "running") == (run.product, run.items_failed, run.items_succeeded, run.status)


def test_an_older_update_read_again_undoes_nothing() -> None:
    """The end carries all that its writer had set before, by its number."""
    older = MetricsUpdate("r", END, {"loss": 1}, {}, "w", 3)
    end = ended(metrics={"loss": 2}, seq=9)

    assert {"loss": 2} == folded(started(), end, older).metrics


@pytest.mark.parametrize("origin", [("other", 3), ("w", 10), (None, None)])
def test_an_update_that_the_end_did_not_know_counts(origin: tuple[Any, Any]) -> None:
    """Of another writer, behind the end, or of a writer without numbers."""
    update = MetricsUpdate("r", LATER, {"loss": 1}, {}, *origin)

    assert {"loss": 1} == folded(started(), ended(metrics={"loss": 2}, seq=9), update).metrics


def test_deliveries_are_counted() -> None:
    """A failed try raises the count, a success sets flag and time, and neither touches the outcome."""
    failed = DeliveryReport(RUN_ID, END, "api", ok=False, attempts=2)
    arrived = DeliveryReport(RUN_ID, LATER, "api", ok=True, attempts=1)

    run = folded(started(), ended(), failed, arrived)

    assert (True, LATER, 2, "success") == (run.api_posted, run.api_posted_at, run.api_retry_count, run.status)
    assert (False, None) == (folded(ended(), failed).api_posted, folded(ended(), failed).api_posted_at)


def test_a_run_is_its_starters() -> None:
    """Not of whoever spoke of it first: a verdict is only written on runs of the dead writer."""
    update = MetricsUpdate(RUN_ID, END, {"a": 1}, {}, "other", 7)

    run = folded(update, started())

    assert ("w", 1) == (run.writer, run.seq)


def test_what_an_id_tells_is_known_of_any_run() -> None:
    """A run whose start was never seen has the agent and the second of its id."""
    run = placeholder(RUN_ID, LATER)

    assert ("seo", START, "manual", "running") == (run.agent_name, run.start_time, run.trigger_type, run.status)
    assert LATER == placeholder("job-17", LATER).start_time


@pytest.mark.parametrize(
    ("run_id", "agent"),
    [
        (RUN_ID, "seo"),
        ("20261123T100000Z-a-b.c_d-12345678", "a-b.c_d"),
        ("20261123T100000Z--12345678", "unknown"),
        ("20261123T100000Z", "unknown"),
        ("job-17", "unknown"),
    ],
)
def test_an_id_tells_its_agent(run_id: str, agent: str) -> None:
    """Or nothing, when it is none of ours."""
    assert agent == agent_of(run_id)


def test_the_fold_knows_every_field() -> None:
    """A field of the record that is set on one line only is in the folded record, wherever it stands."""
    full: dict[str, Any] = {
        name: "x" for name in RUN_FIELDS if attrs.fields_dict(RunRecord)[name].default is None and name != "seq"
    }
    full |= {"duration_ms": 5, "items_discovered": 1, "items_succeeded": 1, "items_failed": 1, "api_posted": True}
    full |= {"api_retry_count": 1, "metrics": {"a": 1}, "attributes": {"b": 2}, "coerced": ("c",)}
    end = ended(**{**full, "end_time": END, "writer": "w"})

    run = folded(started(), end)

    assert [] == [
        name for name, value in full.items() if name != "job_type" and getattr(run, name) != getattr(end, name)
    ]
