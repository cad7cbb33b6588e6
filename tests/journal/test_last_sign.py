"""The last line about a run is found from the end of the journal, whatever else stands in it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from telemetry.plugins.lines import encode_line
from telemetry.plugins.records import CommitLink, DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord
from telemetry.sinks.journal.last_sign import last_sign

RUN_ID = "20261129T100000Z-agent-0a1b2c3d"
DAY = "2026-11-29T"
STARTED = f"{DAY}10:00:00.000000+00:00"


def _at(second: int) -> str:
    return f"{DAY}10:00:{second:02}.000000+00:00"


def _started(run_id: str = RUN_ID) -> RunRecord:
    return RunRecord(run_id=run_id, agent_name="agent", start_time=STARTED)


def _written(folder: Path, *records: Record, name: str = "events_20261129.ndjson") -> Path:
    path = folder / name
    path.write_bytes(b"".join(map(encode_line, records)))
    return path


SIGNS: dict[str, tuple[Record, int]] = {
    "an event": (RunEvent(RUN_ID, "breath", _at(5)), 5),
    "metrics": (MetricsUpdate(RUN_ID, _at(6), {"loss": 0.1}), 6),
    "a commit": (CommitLink(run_id=RUN_ID, commit_hash="abc1234", timestamp=_at(7)), 7),
    "its start alone": (RunEvent("another", "breath", _at(8)), 0),
    "its start, not its delivery": (DeliveryReport(RUN_ID, _at(9), "api"), 0),
    "its start, not what another run says of it": (RunEvent("another", "child", _at(9), {"run_id": RUN_ID}), 0),
    "its start, not that of its child": (
        RunRecord(run_id="child", agent_name="agent", start_time=_at(9), parent_run_id=RUN_ID),
        0,
    ),
}


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("what", SIGNS)
def test_the_last_line_of_a_run_is_found(tmp_path, what, block_bytes):
    """However the lines fall into blocks, and whatever other runs write behind it."""
    record, second = SIGNS[what]
    others = [RunEvent("another", "breath", _at(30 + number), "x" * 50 * number) for number in range(5)]
    _written(tmp_path, _started(), RunEvent("another", "breath", _at(1)), record, *others)

    assert _at(second) == last_sign(tmp_path, RUN_ID, STARTED, block_bytes=block_bytes)


def test_a_day_that_was_gzipped_is_read(tmp_path):
    """The run began before midnight and said nothing after it."""
    path = _written(tmp_path, _started(), RunEvent(RUN_ID, "breath", _at(5)), MetricsUpdate(RUN_ID, _at(6)))
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    _written(tmp_path, RunEvent("another", "breath", "2026-11-30T00:00:01+00:00"), name="events_20261130.ndjson")

    assert _at(6) == last_sign(tmp_path, RUN_ID, STARTED)


def test_the_newest_file_counts(tmp_path):
    """After a fault of the disk a day has two."""
    _written(tmp_path, _started(), RunEvent(RUN_ID, "breath", _at(5)))
    _written(tmp_path, MetricsUpdate(RUN_ID, _at(6)), name="events_20261129.r1.ndjson")

    assert _at(6) == last_sign(tmp_path, RUN_ID, STARTED)


def test_a_damaged_day_costs_only_itself(tmp_path):
    """A gzipped file that was cut tells nothing."""
    _written(tmp_path, _started(), MetricsUpdate(RUN_ID, _at(6)))
    (tmp_path / "events_20261130.ndjson.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])

    assert _at(6) == last_sign(tmp_path, RUN_ID, STARTED)


def test_a_torn_tail_is_passed_over(tmp_path):
    """What its writer did not finish says nothing of when."""
    path = _written(tmp_path, _started(), MetricsUpdate(RUN_ID, _at(6)))
    whole = encode_line(RunEvent(RUN_ID, "breath", _at(7), {"quoted": "x"}))
    with path.open("ab") as file:
        file.write(whole[:-5])

    assert _at(6) == last_sign(tmp_path, RUN_ID, STARTED)


@pytest.mark.parametrize("run_id", ['a "quoted" run', "back\\slash", "übung", "tab\tbed"])
def test_an_odd_id_is_found(tmp_path, run_id):
    """JSON may write it in more than one way."""
    _written(tmp_path, _started(run_id), MetricsUpdate(run_id, _at(6)), RunEvent("another", "breath", _at(7)))

    assert _at(6) == last_sign(tmp_path, run_id, STARTED)


def test_nothing_is_found_where_nothing_is(tmp_path):
    """No journal, none of these days, or none of the run."""
    _written(tmp_path, RunEvent("another", "breath", _at(1)))

    assert last_sign(tmp_path, RUN_ID, STARTED) is None
    assert last_sign(tmp_path, "another", "2026-11-30T00:00:00+00:00") is None
    assert last_sign(tmp_path / "not there", RUN_ID, STARTED) is None
