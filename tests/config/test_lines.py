"""Prove that a fault names the line of the very key, whatever else in the file looks like it."""

import re
import tomllib
from pathlib import Path

import pytest

from telemetry import TelemetryConfig
from telemetry.core.config.checking import check
from telemetry.core.config.lines import line_of

MISLEADING = Path(__file__).with_name("misleading.toml").read_text("utf-8")


def _paths(table, *keys):
    for key, value in table.items():
        yield (*keys, key)
        if isinstance(value, dict):
            yield from _paths(value, *keys, key)


def _line_that_sets(keys, text):
    """Return the first line of the statement behind which tomllib knows *keys*."""
    lines, first = text.splitlines(keepends=True), 1
    for number in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value
        if keys in _paths(table):
            return first
        first = number + 1
    raise AssertionError(f"{keys} is not set")


@pytest.mark.parametrize("text", [MISLEADING, MISLEADING.replace("\n", "\r\n"), MISLEADING.rstrip()])
def test_line_is_the_one_that_tomllib_needs(text):
    """Texts and lists of several lines, comments, dots and quotes: tomllib itself is asked which line sets what."""
    paths = [keys for keys in _paths(tomllib.loads(text)) if keys != ("A",)]

    found = {keys: line_of(text, keys) for keys in paths}

    assert 20 < len(paths)
    assert {keys: _line_that_sets(keys, text) for keys in paths} == found


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("sinks", "raw", "size"), 17),
        (("sinks", "raw", "fsync", "deeper"), 20),
        (("A",), None),
        (("other",), None),
    ],
)
def test_line_of_what_is_not_set_is_that_of_what_it_would_stand_in(keys, line):
    """None where there is nothing of the kind, and for a key that is written with escapes."""
    assert line == line_of(MISLEADING, keys)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("top",), 1),
        (("sinks", "raw"), 4),
        (("sinks", "raw", "fsync"), 5),
        (("sinks", "raw", "retry", "delays_s"), 6),
        (("sinks", "odd name", "type"), 9),
        (("sinks", "db", "type"), 11),
        (("other",), None),
    ],
)
def test_lines_of_settings(keys, line):
    """The line is that of the setting, else of what it stands in."""
    text = (
        'top = 1 # sinks.raw = 2\n\n# [sinks.raw]\n [ sinks . raw ] # x\nfsync = "never"\nretry.delays_s = [1]\n\n'
        '[sinks."odd name"]\n"type" = "x"\n[sinks]\ndb = { type = "sqlite" }\n'
    )

    assert line == line_of(text, keys)


def test_each_fault_names_the_line_of_its_key(tmp_path):
    """Not that of the table, also in a table of its own; a table that is not known has the line of its heading."""
    path = tmp_path / "telemetry.toml"
    path.write_text(
        '[redact]\n\nkeys = 5\n[sinks.db]\n\ntype = "sqlite"\nsize = 1\n[sinks.db.retry]\n\ndelays_s = "x"\n'
        '[sinks.y]\n"type" = "ndjson"\nfsync = """\nfsync = 1\n"""\n[sinks.z]\n\ntype = "nosuch"\n[sink.z]\n'
    )

    faults = check(TelemetryConfig.load(path)).faults

    lines = {fault.partition(" ")[0]: int(re.search(r":(\d+)\)", fault)[1]) for fault in faults}
    assert {
        "redact.keys": 3,
        "sinks.db.size": 7,
        "sinks.db.retry.delays_s": 10,
        "sinks.y.fsync": 13,
        "sinks.z.type": 18,
        "sink": 19,
    } == lines
