"""Prove that a command that cannot do what it is asked names a cure that leads on."""

import shlex
import sqlite3
import sys
from contextlib import closing

import pytest

from telemetry import TelemetryClient
from telemetry.plugins import InputError
from telemetry.sinks.reading.conditions import parse_condition


@pytest.fixture
def base(real_bench, tmp_path):
    """Return a base directory with one run, and beside it what is no store."""
    with TelemetryClient(metrics_dir=real_bench.base_dir) as client, client.track_run("agent", "job"):
        pass
    (real_bench.base_dir / "raw" / "events_2026-11-24.ndjson.gz").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 64)
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as connection:
        connection.execute("CREATE TABLE t (a)")
    content = (real_bench.base_dir / "db" / "telemetry.sqlite").read_bytes()
    (tmp_path / "damaged.sqlite").write_bytes(content[:4096] + b"x" * (len(content) - 4096))
    return tmp_path


_ANOTHER_STORE = "name a base directory, a database or a journal folder"
_SOURCES = "name a base directory, a database, or a file of lines"


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (("--base-dir", "{0}/none", "runs"), "mkdir {0}/none"),
        (("--store", "{0}/none", "runs"), _ANOTHER_STORE),
        (("--store", "{0}/empty", "runs"), _ANOTHER_STORE),
        (("--store", "{0}/noise", "runs"), "telemetry rebuild in the base directory that has its journal"),
        (("--store", "{0}/damaged.sqlite", "runs"), "telemetry rebuild in the base directory that has its journal"),
        (("--store", "{0}/base/raw/events_2026-11-24.ndjson.gz", "runs"), "name its folder: {0}/base/raw"),
        (("--store", "http://127.0.0.1:1/", "runs"), "name a path, or a postgres:// URL"),
        (("--store", "sqlite:///a.sqlite", "runs"), "name a path, or a postgres:// URL"),
        (("backup", "--to", "{0}/empty"), "name a folder that does not"),
        (("restore", "{0}/empty"), "telemetry merge takes in any base directory"),
        (("restore", "{0}/none"), "telemetry restore alone takes the newest here"),
        (("restore",), "telemetry backup makes one"),
        (("import", "{0}/none"), _SOURCES),
        (("import", "{0}/empty"), _SOURCES),
        (("import", "{0}/noise"), "name one of these"),
        (("import", "{0}/other.sqlite"), "name another file"),
        (("import", "{0}/damaged.sqlite"), "telemetry rebuild in the base directory that has its journal"),
        (("merge", "{0}/empty"), "name the base directory of another machine"),
        (("replay", "--into", "ndjson"), "telemetry sinks lists them"),
        (("export", "--out", "{0}/none/a.csv"), "mkdir -p {0}/none"),
        (("plot", "duration", "--out", "{0}/none/a.svg"), "mkdir -p {0}/none"),
    ],
)
def test_cure_is_where_the_fault_is(base, real_bench, words, cure):
    """`telemetry doctor` looks after the store of the configuration: it knows nothing of a path that was mistyped."""
    answer = real_bench.run(*(word.format(base) for word in words))

    assert answer.code
    assert cure.format(base) in answer.err.partition("try:")[2]
    assert "doctor" not in answer.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("runs --failed --running", "--failed and --running"),
        ("runs --running --status partial", "--running and --status"),
        ("runs --json --csv", "--json and --csv"),
        ("runs --all -n 3", "--all and --limit/-n"),
        ("stats --failed --running", "--failed and --running"),
        ("config show --nl --tsv", "--nl and --tsv"),
        ("plot duration --out x.svg --json", "--out and --json"),
    ],
)
def test_options_that_contradict_each_other_are_refused(base, real_bench, words, named):
    """None wins over the other in silence."""
    answer = real_bench.run(*words.split())

    assert (2, "") == (answer.code, answer.out)
    assert f"{named} exclude each other" in answer.err


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("postgres://127.0.0.1:1/x", "start the server there, or mend host and port"),
        ("postgresql://[::1/x", "write postgres://USER@HOST:PORT/DATABASE"),
    ],
)
def test_server_that_cannot_be_read_has_a_cure(real_bench, url, cure):
    """`telemetry doctor` looks at the sinks of the configuration, and not behind a URL on the command line."""
    pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

    answer = real_bench.run("--store", url, "runs")

    assert (1, "") == (answer.code, answer.out)
    assert f"try:   {cure}\n" in answer.err


def test_url_without_its_library_says_what_to_install(real_bench, monkeypatch):
    """No configuration is at fault."""
    monkeypatch.setitem(sys.modules, "psycopg", None)

    answer = real_bench.run("--store", "postgres://hq.example/x", "runs")

    assert (1, "") == (answer.code, answer.out)
    assert "a postgres:// URL needs psycopg, which is not installed" in answer.err
    assert "try:   pip install 'local-telemetry[postgres]'\n" in answer.err


def test_option_may_be_said_twice(base, real_bench):
    """The last one counts where both are the same option, as an alias of a shell needs it."""
    assert 0 == real_bench.run("runs", "--failed", "--failed", "-n", "3", "--limit", "2").code


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("runs --base-dir x --failed", "telemetry --base-dir x runs --failed"),
        ("runs --config=x.toml", "telemetry --config=x.toml runs"),
        ("config show --store 'a b' --json", "telemetry --store 'a b' config show --json"),
        ("config --color never show", "telemetry --color never config show"),
        ("runs --store", "telemetry --store WHERE runs"),
        ("runs --store postgres://me:secret@hq/db", "telemetry --store postgres://***@hq/db runs"),
    ],
)
def test_option_that_stands_before_the_command_is_put_there(real_bench, words, cure):
    """The cure is the same line as it can be typed."""
    answer = real_bench.run(*shlex.split(words))

    assert (2, "") == (answer.code, answer.out)
    assert "stands before the command" in answer.err
    assert f"try:   {cure}\n" in answer.err


def test_option_that_no_command_has_stays_unknown(real_bench):
    """Before the command and behind it."""
    answers = [real_bench.run(*words.split()) for words in ("--colour never runs", "runs --colour never")]

    assert [2, 2] == [answer.code for answer in answers]
    assert all("No such option" in answer.err and "--colour" in answer.err for answer in answers)


@pytest.mark.parametrize(
    ("given", "told", "cure"),
    [
        ("90", "'90' is no length of time; write a number and s, m, h, d or w behind it, as 90d or 12w", "90d"),
        ("12h", "'12h' is less than a day", "1d"),
        ("99999999999w", "'99999999999w' is longer than any time that can be counted", None),
    ],
)
def test_length_of_time_to_prune_by_is_one_that_prune_takes(real_bench, given, told, cure):
    """A number without a unit is meant in days."""
    answer = real_bench.run("prune", "--older-than", given)

    lines = [f"error: {told}", "where: --older-than", *([] if cure is None else [f"try:   --older-than {cure}"])]
    assert (2, lines) == (answer.code, answer.err.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ("--store", "{0}/none", "runs"),
        ("--base-dir", "{0}/none", "runs"),
        ("import", "{0}/none"),
        ("merge", "{0}/none"),
        ("restore", "{0}/none"),
        ("replay", "--into", "none"),
        ("outbox", "dead", "none"),
        ("show", "none"),
    ],
)
def test_what_is_not_there_has_a_code_of_its_own(base, real_bench, words):
    """A script can tell a path that was mistyped from a store that is ill."""
    answer = real_bench.run(*(word.format(base) for word in words))

    assert (3, "") == (answer.code, answer.out)


@pytest.mark.parametrize("words", [("--store", "{0}/noise", "runs"), ("import", "{0}/empty"), ("merge", "{0}/empty")])
def test_what_is_there_and_no_store_has_failed(base, real_bench, words):
    """The path is right."""
    answer = real_bench.run(*(word.format(base) for word in words))

    assert (1, "") == (answer.code, answer.out)


def test_locked_store_is_tried_again(base, real_bench):
    """It is not ill: another program has it at this moment."""
    with closing(sqlite3.connect(real_bench.base_dir / "db" / "telemetry.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = real_bench.run("prune", "--older-than", "90d")

    assert (1, True) == (answer.code, "is locked by another program" in answer.err)
    assert "try:   the same command again, in a moment" in answer.err


def test_nothing_is_recorded_yet(real_bench):
    """`show last` in an empty store is no wrong id."""
    answer = real_bench.run("show", "last")

    assert (3, True) == (answer.code, "nothing was recorded yet" in answer.err)
    assert "telemetry demo" in answer.err


@pytest.mark.parametrize(
    ("text", "near"),
    [("metric.pages>1", "metrics.pages"), ("attribute.a=1", "attributes.a"), ("agent=x", "agent_name")],
)
def test_condition_with_a_slip_names_the_nearest(text, near):
    """Of a metric the whole name."""
    with pytest.raises(InputError, match=f"Did you mean '{near}'"):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("metrics.>1", "metrics.NAME, as in 'metrics.tokens>1000'"),
        ("metrics>1", "metrics.NAME, as in 'metrics.tokens>1000'"),
        ("attributes.=a", "attributes.NAME, as in 'attributes.model=small'"),
    ],
)
def test_condition_without_a_name_says_where_it_stands(text, way):
    """Not that `metrics.` was meant, which it says already."""
    with pytest.raises(InputError, match=f"names nothing inside [a-z]+; write {way}"):
        parse_condition(text)


@pytest.mark.parametrize("command", ["runs", "stats", "errors", "tail"])
def test_empty_store_is_told_as_such(real_bench, command):
    """Where nothing is recorded, no filter is to blame."""
    answer = real_bench.show(command)

    assert (0, "") == (answer.code, answer.out)
    assert f"No runs are recorded in {real_bench.base_dir} yet.\ntry: telemetry demo\n" == answer.err


def test_what_nothing_is_like_is_told(base, real_bench):
    """And not that the store is empty."""
    told = {words: real_bench.show(*words).err for words in (("tail", "--type", "none"), ("stats", "--agent", "none"))}

    assert ["No event is like that.\n", "No run is like that.\n"] == list(told.values())
