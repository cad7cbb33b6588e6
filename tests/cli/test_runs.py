"""Prove that `telemetry runs` finds, sorts, pages and keeps up."""

import json

import pytest

_ALL = ["0f1e2d3c", "5e6f7a8b", "1a2b3c4d", "9c8b7a6d", "77777777", "backfill-2025"]


def ids(answer) -> list[str]:
    """Return the short ids of a list in plain columns."""
    return [line.split("\t")[0][-8:] if "Z-" in line.split("\t")[0] else line.split("\t")[0] for line in _rows(answer)]


def _rows(answer) -> list[str]:
    return answer.out.splitlines()[1:]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), _ALL),
        (("--agent", "nightly"), ["1a2b3c4d", "9c8b7a6d", "77777777"]),
        (("--job", "poll"), ["0f1e2d3c"]),
        (("--status", "partial"), ["9c8b7a6d"]),
        (("--failed",), ["5e6f7a8b", "77777777"]),
        (("--running",), ["0f1e2d3c"]),
        (("--since", "1h"), ["0f1e2d3c", "5e6f7a8b", "1a2b3c4d"]),
        (("--since", "2d", "--until", "1h"), ["9c8b7a6d"]),
        (("-n", "2"), ["0f1e2d3c", "5e6f7a8b"]),
        (("--all",), _ALL),
        (("--after", "1a2b3c4d", "-n", "2"), ["9c8b7a6d", "77777777"]),
        (("--reverse", "-n", "2"), ["backfill-2025", "77777777"]),
        (("--sort", "duration"), ["backfill-2025", "77777777", "9c8b7a6d", "0f1e2d3c", "1a2b3c4d", "5e6f7a8b"]),
        (("--sort", "duration", "--reverse", "-n", "2"), ["5e6f7a8b", "1a2b3c4d"]),
        (("--sort", "metrics.tokens_in"), ["9c8b7a6d", "1a2b3c4d"]),
        (("--sort", "metrics.model"), []),
        (("--sort", "items", "-n", "1"), ["1a2b3c4d"]),
        (("--sort", "job", "--all"), ["5e6f7a8b", "0f1e2d3c", "1a2b3c4d", "9c8b7a6d", "77777777"]),
        (("--sort", "agent", "--reverse", "-n", "1"), ["1a2b3c4d"]),
    ],
)
def test_filters_sorts_and_pages(bench, arguments, expected):
    """Each option does what its help says."""
    answer = bench.run("runs", *arguments)

    assert (0, "") == (answer.code, answer.err)
    assert expected == ids(answer)


def test_json_is_the_record(bench):
    """Every field of a run is there, under the name that it has in Python."""
    [record] = json.loads(bench.run("runs", "-n", "1", "--json").out)

    assert bench.store.stored[0].to_dict() == record


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--sort", "price"), "a metric is written metrics.price"),
        (("--sort", "agent", "--after", "last"), "--after does not go with --sort"),
        (("--since", "soon"), "'soon' is no time"),
        (("--status", "fine"), "'fine' is not one of"),
        (("-n", "0"), "0 is not in the range"),
        (("-n", "abc"), "'abc' is no whole number."),
        (("-n", "1.5"), "'1.5' is no whole number."),
        (("--interval", "soon"), "'soon' is not a valid number."),
        (("--watch",), "--watch needs a terminal"),
    ],
)
def test_wrong_use_is_told_with_its_cure(bench, arguments, told: str):
    """The exit code is 2, and nothing comes out but the fault."""
    answer = bench.run("runs", *arguments)

    assert (2, "") == (answer.code, answer.out)
    assert told in answer.err


def test_a_metric_that_no_run_has_is_not_found(bench):
    """Told are the nearest name and those that there are; a list of no runs is empty, whatever it is sorted by."""
    typed = bench.run("runs", "--sort", "metrics.token_in", "--json")
    filtered = bench.run("runs", "--sort", "metrics.token_in", "--agent", "nobody", "--json")

    assert (3, "") == (typed.code, typed.out)
    assert "no run has a number for 'token_in'; did you mean 'tokens_in'?" in typed.err
    assert "try:   the metrics are files, tokens_in, cost_usd\n" in typed.err
    assert (0, "[\n]\n", "") == (filtered.code, filtered.out, filtered.err)


def test_runs_without_a_number_are_no_fault(bench):
    """Others have the metric: the list is empty, and says why."""
    told = [bench.show("runs", "--sort", f"metrics.{name}", "--agent", "watcher") for name in ("files", "model")]

    assert [(0, "")] * 2 == [(answer.code, answer.out) for answer in told]
    assert "None of these runs has a number for metrics.files.\n" == told[0].err


def test_a_page_says_how_to_go_on(bench):
    """The line below a page can be typed as it stands, and gives the next page."""
    first = bench.show("runs", "-n", "2")

    assert "2 runs shown, there are more: --after 5e6f7a8b" == first.out.splitlines()[-1]
    assert ["1a2b3c4d", "9c8b7a6d"] == ids(bench.run("runs", "-n", "2", "--after", "5e6f7a8b"))
    assert "--all" in bench.show("runs", "-n", "2", "--sort", "duration").out.splitlines()[-1]
    assert "there are more" not in bench.show("runs").out


def test_an_empty_list_says_why(bench):
    """Nothing recorded is another thing than nothing found."""
    found_nothing = bench.show("runs", "--agent", "nobody")
    bench.store.stored.clear()
    has_nothing = bench.show("runs")

    assert ("", "No run is like that.\n") == (found_nothing.out, found_nothing.err)
    assert "telemetry demo" in has_nothing.err


def test_store_is_closed_in_the_end(bench):
    """Nothing stays open behind a command."""
    bench.run("runs")

    assert bench.store.is_closed


def test_watch_draws_until_interrupted(bench, monkeypatch):
    """The list is drawn over and over on a page of its own, which ^C leaves without a fault."""
    pauses = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("telemetry.core.cli.live.time.sleep", sleep)

    answer = bench.show("runs", "--watch", "--interval", "0.5")

    assert (0, [0.5] * 3) == (answer.code, pauses)
    assert 3 == answer.out.count("5e6f7a8b")
    assert answer.out.startswith("\x1b[?1049h")
    assert answer.out.endswith("\x1b[?1049l")
