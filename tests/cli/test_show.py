"""Prove that `telemetry show` and `telemetry diff` find their runs and tell all of them."""

import json

import attrs
import pytest


@pytest.mark.parametrize("part", ["5e6f7a8b", "20261124T1927", "20261124T192700Z-summarizer-5e6f7a8b", "5e6f7a8b…"])
def test_any_piece_of_an_id_is_enough(bench, part: str):
    """Beginning, end, or what was copied out of a list."""
    assert "summarizer" in bench.run("show", part).out


def test_last_is_the_newest(bench):
    """`last` and @ need no id at all."""
    assert "watcher" in bench.run("show", "last").out
    assert "watcher" in bench.run("show", "@").out


def test_unknown_run_names_the_newest(bench):
    """The exit code is 3, and the cure leads to a run that is there."""
    answer = bench.run("show", "nothing")

    assert (3, "") == (answer.code, answer.out)
    assert "no run has the id 'nothing'" in answer.err
    assert "20261124T192830Z-watcher-0f1e2d3c" in answer.err


def test_unknown_run_in_an_empty_store_leads_to_the_demo(bench):
    """There is no run to name."""
    bench.store.stored.clear()

    for part in ("nothing", "last", ""):
        answer = bench.run("show", part)
        assert 3 == answer.code
        assert "telemetry demo" in answer.err


def test_ambiguous_id_lists_what_it_may_mean(bench):
    """Two runs of one day: both are named, none is shown."""
    answer = bench.run("show", "20261124T192")

    assert (3, "") == (answer.code, answer.out)
    assert all(name in answer.err for name in ("0f1e2d3c", "5e6f7a8b", "1a2b3c4d", "give more of the id"))


@pytest.mark.parametrize(
    ("count", "told"), [(2, "2 runs"), (5, "5 runs"), (6, "more than 5 runs"), (36, "more than 5")]
)
def test_ambiguous_id_tells_how_many_runs_it_may_mean(bench, count: int, told: str):
    """The true number, or that it is no more than a look at the first few; those are named."""
    bench.store.stored = [attrs.evolve(bench.store.stored[0], run_id=f"2030-{number:02d}") for number in range(count)]

    answer = bench.run("show", "2030")

    assert 3 == answer.code
    assert answer.err.startswith(f"error: {told}")
    assert min(count, 5) == sum(f"2030-{number:02d}" in answer.err for number in range(count))


def test_json_holds_the_record_and_what_is_around_it(bench):
    """The run's fields, and children, commits and events under names of their own."""
    page = json.loads(bench.run("show", "1a2b3c4d", "--json").out)

    run = bench.store.get_run("20261124T192500Z-nightly-1a2b3c4d")
    assert run.to_dict() == {name: page[name] for name in run.to_dict()}
    assert ["20261124T192700Z-summarizer-5e6f7a8b"] == page["children"]
    assert {"page_read": 40} == page["event_counts"]
    assert [0, 1, 2, 3, 4, *range(30, 40)] == [event["payload"]["number"] for event in page["events"]]


def test_events_can_be_all_or_of_one_type(bench):
    """--events leaves none out, --type none in but its own."""
    everything = json.loads(bench.run("show", "1a2b3c4d", "--events", "--json").out)
    some = bench.run("show", "5e6f7a8b", "--type", "tool_ended").out

    assert list(range(40)) == [event["payload"]["number"] for event in everything["events"]]
    assert "tool_ended" in some
    assert "tool_started" not in some


def test_a_run_that_goes_on_says_so(bench):
    """Its duration is what it took so far."""
    assert "1 min 30 s so far" in bench.run("show", "0f1e2d3c").out


def test_page_of_a_run_with_much_in_it_stays_bounded(bench):
    """A hundred metrics and a parent that is gone: what is left out is said."""
    from attrs import evolve

    run = bench.store.stored[0]
    many = {f"metric_{number:03}": number for number in range(100)}
    bench.store.stored[0] = evolve(run, metrics=many, parent_run_id="gone-1", coerced=("metrics.x",), api_posted=True)

    page = bench.run("show", "last").out

    assert "metric_039" in page
    assert "metric_040" not in page
    assert "60 more values: --json" in page
    assert "gone-1" in page
    assert "metrics.x" in page


def test_diff_shows_what_differs_and_by_how_much(bench):
    """Equal values are counted, not shown, unless --all is given."""
    differing = json.loads(bench.run("diff", "9c8b7a6d", "1a2b3c4d", "--json").out)
    everything = json.loads(bench.run("diff", "9c8b7a6d", "1a2b3c4d", "--json", "--all").out)

    found = {(row["section"], row["name"]): row for row in differing}
    assert {"left": 1190, "right": 1204, "change": 14}.items() <= found["metrics", "files"].items()
    assert 40 == found["events", "page_read"]["right"]
    assert ("run", "agent_name") not in found
    assert ("run", "agent_name") in {(row["section"], row["name"]) for row in everything}


def test_diff_of_a_run_with_itself_is_empty(bench):
    """Nothing differs, and how much is equal is said."""
    answer = bench.show("diff", "1a2b3c4d", "1a2b3c4d")

    assert answer.out.endswith("values equal in both: --all\n")
    assert 1 == len(answer.out.splitlines())


def test_a_type_that_no_event_has_is_told(bench):
    """And which types there are; none at all where the run has no events."""
    shown = bench.show("show", "5e6f7a8b", "--type", "nope").out
    empty = bench.show("show", "0f1e2d3c", "--type", "nope").out

    assert "Events  no event of type 'nope'\n  there are tool_started 1, tool_ended 1\n" in shown
    assert "Events  no event of type 'nope'\n  the run has no events at all\n" in empty
