"""Prove that `telemetry stats`, `errors` and `plot` add up rightly."""

import json
import xml.etree.ElementTree as ET

import pytest


def test_stats_group_by_what_is_asked(bench):
    """Counts, rates and the sums of metrics, for each group and for all."""
    answer = json.loads(bench.run("stats", "--by", "agent", "--llm", "--json").out)

    groups = {group["key"]: group for group in answer["groups"]}
    assert (6, 0.4) == (answer["total_runs"], answer["failure_rate"])
    assert {"success": 2, "failed": 2, "partial": 1, "running": 1} == answer["status_counts"]
    assert {"tokens_in": 99_211, "cost_usd": pytest.approx(0.1531)} == groups["nightly"]["metrics"]
    assert {} == groups["watcher"]["metrics"]


@pytest.mark.parametrize("by", ["agent", "job", "day", "status", "error"])
def test_every_grouping_has_a_table_and_columns(bench, by: str):
    """The key stands in the first column, on the terminal and in a pipe."""
    piped = bench.run("stats", "--by", by)
    shown = bench.show("stats", "--by", by)

    assert (0, 0) == (piped.code, shown.code)
    assert by == piped.out.split("\t")[0]
    assert by.upper() in shown.out


def test_sparkline_is_that_of_the_runs_in_the_groups(bench):
    """By error those count that have one: two of six, of today and of a week ago."""
    heading, sparkline, *_ = bench.show("stats", "--by", "error").out.splitlines()

    assert "2 runs" == heading.split("   ")[0]
    assert "▁▁▁▁▁▁█▁▁▁▁▁▁█  the last 14 days" == sparkline


def test_stats_of_a_day_can_sum_but_those_of_an_error_cannot(bench):
    """What cannot be added up is refused before anything is written."""
    by_day = json.loads(bench.run("stats", "--by", "day", "--metric", "files", "--json").out)
    by_error = bench.run("stats", "--by", "error", "--metric", "files")

    assert 1204 == {group["key"]: group["metrics"] for group in by_day["groups"]}["2026-11-24"]["files"]
    assert (2, "") == (by_error.code, by_error.out)
    assert "--by agent|job|day|status" in by_error.err


def test_stats_of_nothing_say_so(bench):
    """No table of zeros."""
    answer = bench.show("stats", "--agent", "nobody")

    assert ("", "No run is like that.\n") == (answer.out, answer.err)


def test_metrics_that_are_no_numbers_do_not_count(bench):
    """True, NaN and text are no sums."""
    from attrs import evolve

    odd = {"a": True, "b": float("nan"), "c": "many", "d": 2}
    bench.store.stored[:] = [evolve(run, metrics=odd) for run in bench.store.stored[:2]]

    answer = json.loads(bench.run("stats", "--by", "status", "--json", *_metrics("a", "b", "c", "d")).out)

    assert [{"d": 2}, {"d": 2}] == [group["metrics"] for group in answer["groups"]]


def _metrics(*names: str) -> list[str]:
    return [word for name in names for word in ("--metric", name)]


def test_errors_name_fault_place_and_example(bench):
    """One row a fault, with a run to look at."""
    groups = json.loads(bench.run("errors", "--json").out)

    assert [("IndexError", "summarize (summarizer.py)"), ("died", None)] == [(g["kind"], g["place"]) for g in groups]
    assert "20261124T192700Z-summarizer-5e6f7a8b" == groups[0]["example"]


def test_errors_are_those_of_failed_runs_unless_another_status_is_named(bench):
    """And no fault at all is said, not shown as an empty table."""
    partial = json.loads(bench.run("errors", "--status", "partial", "--json").out)
    none = bench.show("errors", "--agent", "watcher")
    more = bench.show("errors", "-n", "1")

    assert ["timeout"] == [group["message"] or group["kind"] for group in partial]
    assert ("", "No run failed.\n") == (none.out, none.err)
    assert "1 fault more" in more.err


def test_plot_writes_a_picture(bench, tmp_path):
    """The SVG is well-formed, has a dot a run, and marks the failed one."""
    out = tmp_path / "duration.svg"

    answer = bench.run("plot", "duration", "--agent", "nightly", "--out", str(out))

    dots = [node for node in ET.parse(out).iter() if node.tag.endswith("circle")]
    assert (0, 3) == (answer.code, len(dots))
    assert ["failed", None, None] == [dot.get("class") for dot in dots]
    assert "1 min 24 s" in "".join(dots[-1].itertext())


def test_plot_over_the_events_of_a_run(bench):
    """The metric is looked for in the payloads."""
    rows = bench.run("plot", "number", "--run", "1a2b3c4d", "--type", "page_read", "--nl").out.splitlines()

    assert list(range(40)) == [json.loads(row)["value"] for row in rows]


def test_plot_of_one_point_and_of_negative_numbers(bench):
    """A scale needs no two values, and has no need of 0."""
    from attrs import evolve

    bench.store.stored[0] = evolve(bench.store.stored[0], metrics={"one": -5, "none": 0})

    assert "one, 1 point" in bench.show("plot", "one").out
    assert "none, 1 point" in bench.show("plot", "none").out


def test_plot_of_nothing_is_not_found(bench):
    """A metric that no run has is the user's slip, not an empty picture; those that there are are named."""
    answer = bench.run("plot", "token_in")

    assert 3 == answer.code
    assert "no run has a number for 'token_in'; did you mean 'tokens_in'?" in answer.err
    assert "the metrics are files, tokens_in, cost_usd, duration" in answer.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("duration", "--agent", "nobody"), "no run is like that"),
        (("duration", "--running"), "none of these runs has a number for 'duration'"),
        (("cost_usd", "--agent", "watcher"), "none of these runs has a number for 'cost_usd'"),
        (("numbr", "--run", "1a2b3c4d"), "no event of this run has a number for 'numbr'; did you mean 'number'?"),
    ],
)
def test_plot_of_nothing_tells_why(bench, words, told: str):
    """No run, no number in them, or no such name in the payloads."""
    answer = bench.run("plot", *words)

    assert (3, "") == (answer.code, answer.out)
    assert told in answer.err


def test_plot_of_an_empty_store_leads_to_the_demo(bench):
    """The metric is not to blame."""
    bench.store.stored.clear()

    answer = bench.run("plot", "duration")

    assert (3, True) == (answer.code, "nothing was recorded yet\ntry:   telemetry demo" in answer.err)


def test_plot_says_that_there_are_older_runs(bench, tmp_path):
    """On a terminal and beside a picture; not where nothing was left out."""
    cut = bench.show("plot", "duration", "-n", "3")
    saved = bench.run("plot", "duration", "-n", "3", "--out", str(tmp_path / "a.svg"))
    whole = bench.show("plot", "duration", "-n", "6")

    assert "the newest 3 runs only, there are more: --limit N" in cut.err
    assert "the newest 3 runs only, there are more: --limit N" in saved.err
    assert "" == whole.err


def test_a_wide_plot_puts_several_runs_into_one_column(bench):
    """Forty events on forty columns of terminal and less: each column stands for its mean."""
    answer = bench.show("plot", "number", "--run", "1a2b3c4d", width=40)

    assert "number, 40 points" in answer.out
    assert all(len(line) <= 40 for line in answer.out.splitlines())
