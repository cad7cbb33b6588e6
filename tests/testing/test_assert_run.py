"""assert_run() finds the one run that a test is about, or says what there is instead."""

import re

import pytest

from telemetry import TelemetryClient, open_store
from telemetry.sinks.memory import MemorySink
from telemetry.testing import assert_run


@pytest.fixture
def recorded(tmp_path):
    """Return a client on files, closed, with three runs of two agents."""
    with TelemetryClient(metrics_dir=tmp_path) as client:
        for number in (1, 2):
            with client.track_run("crawler", "nightly") as run:
                run.log_event("page")
                run.set_metrics(items_succeeded=number, cost_usd=number / 4)
        with pytest.raises(ConnectionError), client.track_run("indexer"):
            raise ConnectionError("no route to host")
        yield client


@pytest.mark.parametrize("way", ["client", "store", "path", "memory", "memory client"])
def test_source_may_be_anything_with_runs(recorded, tmp_path, way):
    """A client, a store, a base directory, a sink in memory or a client around one."""
    memory = MemorySink()
    memory_client = TelemetryClient(sinks={"memory": memory})
    if way.startswith("memory"):
        with memory_client.track_run("crawler", "nightly") as run:
            run.log_event("page")
            run.set_metrics(items_succeeded=2, cost_usd=0.5)
    store = open_store(tmp_path)
    sources = {"client": recorded, "store": store, "path": tmp_path, "memory": memory, "memory client": memory_client}

    run = assert_run(sources[way], "crawler", "nightly", items_succeeded=2, metrics={"cost_usd": 0.5}, events=["page"])

    assert 2 == run.items_succeeded
    store.close()


def test_failed_run_is_found_by_its_status(recorded):
    """`success` is asked for unless something else is; a pattern is searched for."""
    run = assert_run(recorded, "indexer", status="failed", error_summary=re.compile("no route"))

    assert "ConnectionError: no route to host" == run.error_summary


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"agent": "cleaner"}, "there is no run of agent 'cleaner'; nothing of it was recorded"),
        ({"agent": "crawler", "job": "weekly"}, "there is no run of agent 'crawler' with job 'weekly'"),
        ({"agent": "indexer"}, "status is 'failed', not 'success'"),
        ({"agent": "crawler"}, "2 runs are as described, not one; say more about the run of agent 'crawler'"),
        ({"agent": "crawler", "items_succeeded": 3}, "items_succeeded is 1, not 3"),
        ({"agent": "crawler", "metrics": {"cost_usd": 9}}, r"metrics['cost_usd'] is 0.25, not 9"),
        ({"agent": "crawler", "events": ["page", "page"]}, "events is ['page'], not ['page', 'page']"),
        ({"agent": "indexer", "status": "failed", "error_summary": re.compile("x" * 300)}, "not xxx"),
    ],
)
def test_failure_says_what_is_otherwise(recorded, asked, told):
    """The message names the run, what it has and what was asked for."""
    with pytest.raises(AssertionError, match=re.escape(told)):
        assert_run(recorded, **asked)


def test_long_list_is_cut():
    """Five runs are shown, the others counted."""
    memory = MemorySink()
    client = TelemetryClient(sinks={"memory": memory})
    for _ in range(7):
        client.end_run(client.start_run("crawler"), status="failed")

    with pytest.raises(AssertionError, match="- and 2 more"):
        assert_run(memory)


def test_misspelt_field_is_named(recorded):
    """A field that no run has is a fault of the test, not of the run."""
    with pytest.raises(TypeError, match=r"'item_succeeded' is no field of a run.*items_succeeded"):
        assert_run(recorded, "crawler", item_succeeded=3)


def test_source_without_runs_is_named():
    """So is a source that holds no runs."""
    with pytest.raises(TypeError, match="source is of type dict; give a MemorySink"):
        assert_run({}, "crawler")
