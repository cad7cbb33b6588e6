"""An end that another process wrote is posted with what the journal knows of the run."""

import json
import shutil

import pytest
from attrs import evolve

from telemetry.plugins import MetricsUpdate
from telemetry.plugins.lines import records_in
from telemetry.sinks.delivery.completion import completed
from telemetry.sinks.journal import journal_files, read_records, reading

START = {"status": "running", "end_time": None, "duration_ms": None}
FOREIGN = {"agent_name": "unknown", "job_type": None, "trigger_type": "manual", "duration_ms": None, "writer": "w2"}


@pytest.fixture
def complete(base):
    """Complete the last line of the journal."""

    def act():
        file = journal_files(base.raw)[-1]
        found = list(read_records(file))[-1]
        return completed(found.record, base.raw, file.name, found.offset)

    return act


def test_a_foreign_end_gets_identity_and_metrics_from_the_lines_before(base, complete):
    """Agent, job and trigger of the start, counts that were set in between, the duration from both times."""
    base.write(
        base.run("r", **START, trigger_type="scheduler", host="h1"),
        base.run("other", **START, agent_name="other"),
        MetricsUpdate("r", "t", {"tokens": 5}, {"items_succeeded": 3}, "w1", 50),
        base.run("r", **FOREIGN),
    )

    run = complete()

    assert ("crawler", "crawl", "scheduler", "h1") == (run.agent_name, run.job_type, run.trigger_type, run.host)
    assert (3, {"tokens": 5}, 1000, "success") == (run.items_succeeded, dict(run.metrics), run.duration_ms, run.status)


def test_lines_behind_the_end_do_not_count(base):
    """The same record at every repetition, however much was written meanwhile: the key stands for one body."""
    base.write(base.run("r", **START), base.run("r", **FOREIGN))
    (file,) = journal_files(base.raw)
    found = list(read_records(file))[-1]
    before = completed(found.record, base.raw, file.name, found.offset)

    base.write(MetricsUpdate("r", "t", {"tokens": 5}, {}, "w1", 50), base.run("r", **START, product="late"))

    assert before == completed(found.record, base.raw, file.name, found.offset)


def test_an_end_that_knows_its_job_stays_as_it_is(base):
    """Nothing is read for it, so a journal of gigabytes costs nothing."""
    run = base.run("r")

    assert run is completed(run, base.raw / "not there", "events_20261123.ndjson", 0)


@pytest.mark.parametrize(
    "known",
    [{}, {"agent_name": "unknown", "host": "h1"}, {"trigger_type": "manual", "host": "h1"}],
    ids=["usual", "nameless", "manual"],
)
def test_an_end_of_our_own_without_a_job_stays_as_it_is(base, known):
    """A job is nothing that a run must have; to look for it would read the day again for each run."""
    base.write(base.run("r", **START, job_type="never mind"))
    (file,) = journal_files(base.raw)
    run = base.run("r", **{"job_type": None, "trigger_type": "cli", "host": None, **known})

    assert run is completed(run, base.raw, file.name, file.size)


@pytest.mark.parametrize("known", [{"writer": None, "seq": None}, FOREIGN], ids=["other program", "guess of our own"])
def test_an_end_that_may_know_less_than_its_start_is_completed(base, known):
    """One of another program, which numbers no lines, and one of ours that knew the run's id only."""
    base.write(base.run("r", **START))
    (file,) = journal_files(base.raw)

    run = completed(base.run("r", **{**known, "job_type": None}), base.raw, file.name, file.size)

    assert "crawl" == run.job_type


@pytest.mark.parametrize("run_id", ["r", "jobs/7", 'say "hi"', "ä\u2028é", "a\\b", "💥", "💥x"])
@pytest.mark.parametrize("as_ascii", [True, False])
def test_the_lines_before_are_found_however_they_are_written(base, run_id, as_ascii):
    """Another program may escape what it likes to."""
    start = {"record_type": "run", "run_id": run_id, "agent_name": "a", "job_type": "found", "status": "running"}
    text = json.dumps({**start, "start_time": "2026-11-23T10:00:00+00:00"}, ensure_ascii=as_ascii)
    base.write(base.run("other"))
    (file,) = journal_files(base.raw)
    with file.path.open("ab") as stream:
        stream.write(text.replace("/", "\\/" if as_ascii else "/").encode() + b"\n")

    run = completed(base.run(run_id, **FOREIGN), base.raw, file.name, file.size)

    assert "found" == run.job_type


def test_completing_decodes_only_the_lines_of_the_run(base, monkeypatch):
    """Otherwise a thousand runs that were ended from elsewhere cost a million lines."""
    base.write(*(base.run(f"other{n}") for n in range(50)), base.run("r", **START))
    (file,) = journal_files(base.raw)
    decoded = []
    monkeypatch.setattr(reading, "records_in", lambda line: decoded.append(line) or records_in(line))

    run = completed(base.run("r", **FOREIGN), base.raw, file.name, file.size)

    assert ("crawl", 1) == (run.job_type, len(decoded))


def test_a_start_stays_as_it_is(base):
    """There is nothing before it."""
    run = base.run("r", **START, job_type=None)

    assert run is completed(run, base.raw, "events_20261123.ndjson", 0)


def test_the_start_is_found_on_an_earlier_day(base, complete):
    """A run that lasted over midnight has its start in yesterday's file."""
    base.write(base.run("r", **START))
    (today,) = journal_files(base.raw)
    shutil.move(today.path, base.raw / "events_20200101.ndjson")
    base.write(base.run("r", **FOREIGN))

    assert "crawl" == complete().job_type


def test_an_end_without_any_start_is_posted_as_it_is(base, complete):
    """It is news all the same."""
    base.write(end := base.run("r", **FOREIGN))

    assert evolve(end, duration_ms=None) == evolve(complete(), duration_ms=None)


def test_a_second_end_does_not_undo_the_first(base, complete):
    """The first end wins, as in every other store."""
    base.write(base.run("r", **START), base.run("r", status="failed"), base.run("r", **FOREIGN))

    assert "failed" == complete().status


def test_a_file_that_is_gone_does_not_matter(base):
    """Pruned while it was read: what is there is used."""
    base.write(base.run("r", **START))

    run = completed(base.run("r", **FOREIGN), base.raw, "events_20990101.ndjson", 10)

    assert "crawl" == run.job_type
