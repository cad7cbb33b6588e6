"""Compare the page of the files with what is written and read."""

import json
import re
import sqlite3
from importlib import resources

import pytest

from telemetry.plugins import decode_line, encode_line
from telemetry.plugins.lines import _READERS
from telemetry.plugins.records import RunRecord
from telemetry.sinks.sqlite.shapes import COLUMNS, EXTRA_COLUMNS

_PAGE = "reference/files.md"


@pytest.fixture(scope="module")
def lines(blocks) -> dict[str, str]:
    """Return the journal lines of the page by their notes."""
    return {block.note.removeprefix("line: "): block.text for block in blocks(_PAGE) if block.note.startswith("line: ")}


def test_every_type_has_an_example(lines):
    """Each type of line that is read stands on the page, and no other."""
    assert set(_READERS) | {"event, earlier"} == set(lines)


@pytest.mark.parametrize("kind", sorted(_READERS))
def test_example_is_what_is_written(kind, lines):
    """Read and written again the example is the same, byte for byte."""
    line = lines[kind].encode()

    assert line.startswith(b'{"record_type":"%s"' % kind.encode())
    assert line == encode_line(decode_line(line))


def test_line_of_an_earlier_version_is_read(lines):
    """Its payload is an object again."""
    event = decode_line(lines["event, earlier"].encode())

    assert ("page", {"url": "https://example.org"}) == (event.event_type, event.payload)


def test_keys_beside_the_columns_are_told(page, headings):
    """What a run's line has only where it says something stands in the table below it."""
    full = RunRecord(
        run_id="r1",
        agent_name="crawler",
        start_time="2026-11-23T10:00:00Z",
        parent_run_id="r0",
        status_detail="timeout",
        verdict=True,
        writer="5b99c73325e7",
        seq=1,
    )
    always = json.loads(encode_line(RunRecord(run_id="r1", agent_name="crawler", start_time="2026-11-23T10:00:00Z")))

    table = page(_PAGE).partition("### run\n")[2].partition("### event\n")[0]
    told = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `")))
    assert sorted(json.loads(encode_line(full)).keys() - always.keys()) == sorted(told)


def version_rows(page_text: str) -> dict[int, str]:
    """Return what the page says of each version."""
    return {int(number): told for number, told in re.findall(r"^\| (\d) \| (.*) \|$", page_text, re.MULTILINE)}


@pytest.mark.parametrize("version", [2, 3])
def test_history_names_the_columns_of_each_step(version, page):
    """The columns that a migration adds are those that the page names."""
    sql = resources.files("telemetry.sinks.sqlite").joinpath(f"migrate_to_{version}.sql").read_text("utf-8")

    told = re.findall(r"`(\w+)`", version_rows(page(_PAGE))[version])
    assert re.findall(r"ADD COLUMN (\w+)", sql) == [name for name in told if not name.startswith("idx_")]


def test_history_is_whole(page):
    """From the first version to the newest that is known."""
    assert list(range(1, 8)) == sorted(version_rows(page(_PAGE)))


def test_view_has_what_the_page_says(tmp_path):
    """`runs` has every column of agent_runs and of run_extras."""
    from telemetry import TelemetryClient

    with TelemetryClient(metrics_dir=tmp_path) as client, client.track_run("crawler"):
        pass

    connection = sqlite3.connect(tmp_path / "db" / "telemetry.sqlite")
    found = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
    connection.close()
    assert sorted((*COLUMNS, *EXTRA_COLUMNS)) == sorted(found)
