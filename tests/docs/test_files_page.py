"""Compare the page of the files with what is written and read."""

import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path

import pytest

from telemetry import TelemetryClient, TelemetryConfig, hookimpl
from telemetry.plugins import decode_line, encode_line
from telemetry.plugins.lines import _READERS
from telemetry.plugins.records import RunRecord
from telemetry.sinks.memory import MemorySink
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


class StuckSink:
    """Take no event until it is set free."""

    def __init__(self):
        self.free = threading.Event()

    @hookimpl
    def telemetry_event_logged(self, event):
        self.free.wait(30)


def test_own_event_types_are_told(page):
    """The events that no agent has logged are those of the table."""
    memory = MemorySink()
    stuck = StuckSink()
    with TelemetryClient(sinks={"memory": memory, "full": FullJournal(), "stuck": stuck}) as client:
        with client.track_run("crawler") as run, run.tool("fetch"):
            run.log_llm_call("small-model", tokens_in=1)
        client.end_run(run.run_id, "failed")
        client.increment("somebody-elses-run", "pages")
        client._bus.give_up()
        stuck.free.set()

    table = page(_PAGE).partition("| `event_type` |")[2].partition("### metrics")[0]
    told = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines() if "|" in row)))
    assert told == {event.event_type for event in memory.events}


class FullJournal:
    """A journal whose disk is full at the first record, and has room again from the second one on."""

    runs_inline = True
    is_full = True

    def journal_directory(self, default: Path) -> Path:
        """Be the journal."""
        return default

    @hookimpl
    def telemetry_run_started(self, run):
        """Find no room."""
        if self.is_full:
            self.is_full = False
            raise OSError("no space left on device")


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
    with TelemetryClient(metrics_dir=tmp_path) as client, client.track_run("crawler"):
        pass

    connection = sqlite3.connect(tmp_path / "db" / "telemetry.sqlite")
    found = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
    connection.close()
    assert sorted((*COLUMNS, *EXTRA_COLUMNS)) == sorted(found)


class Receiver(BaseHTTPRequestHandler):
    """Take every run but those of the agent `poison`."""

    def do_POST(self) -> None:
        """Answer 200 or 422."""
        is_poison = b"poison" in self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(422 if is_poison else 200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    """Return the URL of an API on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def named_as_on_the_page(path: Path, base_dir: Path) -> str:
    """Return *path* below *base_dir* with words in the place of a day, a writer and a sink."""
    name = re.sub(r"_\d{8}\.", "_YYYYMMDD.", path.relative_to(base_dir).as_posix())
    return re.sub(r"/[0-9a-f]{12}\.json$", "/WRITER.json", name).replace("state/api", "state/SINK")


@pytest.mark.parametrize("has_journal", [True, False])
def test_every_file_is_told(has_journal, api, page, tmp_path):
    """Whatever lies in a base directory with open, delivered and refused runs stands in the table of the page."""
    table = re.findall(r"^\| (`.*?) \|", page(_PAGE).partition("## Journal")[0], re.MULTILINE)
    sinks = {"api": {"url": api, "token": "t0ken"}} | ({"raw": {"type": "ndjson"}, "sqlite": {}} if has_journal else {})

    told = set(re.findall(r"`([^`]+)`", " ".join(table)))
    with TelemetryClient(TelemetryConfig(metrics_dir=tmp_path, sinks=sinks)) as client:
        client.start_run("open")
        for agent in ("good", "poison"):
            with client.track_run(agent):
                pass
        client.flush(10)
        found = {named_as_on_the_page(path, tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert set() == found - told
    assert "state/SINK.dead.ndjson" in found
    assert ("state/SINK/events_YYYYMMDD.ndjson" in found) is not has_journal
