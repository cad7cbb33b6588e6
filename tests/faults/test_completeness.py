"""`telemetry verify` says exactly what is missing and doubled: its answer equals an oracle's after every chaos."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from victims import massacre

from telemetry import TelemetryClient, hookimpl
from telemetry.core.verify import WriterAccount
from telemetry.plugins.records import RunEvent
from telemetry.sinks.journal import journal_files, read_records

RUN = "import sys; from telemetry.core.cli.main import main; main()"


@given(st.lists(st.integers(1, 60)), st.booleans())
def test_an_account_equals_counting(numbers, is_pruned):
    """In whatever order numbers come, missing and doubled are those that counting finds; what was pruned is neither."""
    account = WriterAccount("writer")

    for number in numbers:
        account.take(number)
    if not is_pruned:
        account.begin_at_one()

    counts = Counter(numbers)
    first = min(numbers, default=1) if is_pruned else 1
    assert set(range(first, max(numbers, default=0) + 1)) - set(numbers) == set(account.missing())
    assert {number for number, count in counts.items() if count > 1} == account.doubled


def test_a_damaged_number_is_told_in_little_room(tmp_path):
    """One that a disk has changed can make a gap of 400 million million numbers."""
    file = _recorded(tmp_path)
    file.write_bytes(file.read_bytes().replace(b'"seq":3}', b'"seq":400000000000000}', 1))

    code, (account,) = _verified(tmp_path)

    assert (1, 400_000_000_000_000, 1_000) == (code, account["highest"], len(account["missing"]))
    assert 3 == account["missing"][0]


def _verified(base_dir: Path) -> tuple[int, list[dict[str, Any]]]:
    command = [sys.executable, "-c", RUN, "--base-dir", str(base_dir), "verify", "--json"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def _recorded(base_dir: Path) -> Path:
    with TelemetryClient(base_dir=base_dir) as client:
        for _ in range(5):
            with client.track_run("agent", "job") as run:
                for number in range(10):
                    run.log_event("count", {"number": number})
    (file,) = (base_dir / "raw").glob("*.ndjson")
    return file


def test_a_whole_journal_is_complete(tmp_path):
    """One writer, 60 records: complete, exit code 0."""
    _recorded(tmp_path)

    code, writers = _verified(tmp_path)

    assert (0, [(60, [], [])]) == (code, [(w["records"], w["missing"], w["doubled"]) for w in writers])


class DroppingEverySecond:
    """Drop every second event, and give the others a number of its own choice."""

    @hookimpl
    def telemetry_process(self, record: Any) -> Any:
        if not isinstance(record, RunEvent) or record.payload["number"] % 2 == 0:
            return attrs.evolve(record, seq=7) if isinstance(record, RunEvent) else record
        return None


def test_what_a_processor_drops_leaves_no_gap(tmp_path):
    """Four threads log, a processor drops half of it and touches the numbers: verify finds none missing or doubled."""
    client = TelemetryClient(base_dir=tmp_path)
    client._bus.register("dropping", DroppingEverySecond())
    run_id = client.start_run("agent", "job")

    def log() -> None:
        for number in range(50):
            client.log_event(run_id, "count", {"number": number})

    threads = [threading.Thread(target=log) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.log_event(run_id, "count", {"number": 1})  # the last number of all is a dropped one's
    client.end_run(run_id)
    client.close()

    code, writers = _verified(tmp_path)
    assert (0, [(102, [], [])]) == (code, [(w["records"], w["missing"], w["doubled"]) for w in writers])


@pytest.mark.parametrize("seed", range(3))
def test_lines_that_somebody_took_or_copied_are_named(tmp_path, seed):
    """Lines deleted from or doubled in the journal: the very numbers are named, exit code 1."""
    dice = random.Random(seed)
    file = _recorded(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    # The last line of the writer stays: nothing tells that a writer wrote more than what is there.
    gone, copied = dice.sample(range(len(lines) - 1), 4), dice.sample(range(len(lines)), 3)
    file.write_bytes(b"".join(line * (0 if at in gone else 2 if at in copied else 1) for at, line in enumerate(lines)))

    code, (writer,) = _verified(tmp_path)

    assert 1 == code
    assert sorted(at + 1 for at in gone) == writer["missing"]
    assert sorted(at + 1 for at in set(copied) - set(gone)) == writer["doubled"]


def test_after_a_massacre_the_answer_is_an_oracles(tmp_path):
    """
    12 writers killed at random moments: verify names just the numbers that counting the lines names.

    A number may be missing that was never acknowledged (another thread was about to write it), and a line that a
    kill cut may stand twice; no acknowledged event is missing.
    """
    victims = list(massacre(tmp_path, kills=12, at_once=4, seed=3))

    _, writers = _verified(tmp_path)

    told = {w["writer"]: (w["records"], w["missing"], w["doubled"]) for w in writers}
    records = [found.record for file in journal_files(tmp_path / "raw") for found in read_records(file)]
    assert _counted(records) == told
    kept = {(record.run_id, record.payload["number"]) for record in records if isinstance(record, RunEvent)}
    assert kept >= {(victim.run_id, n) for victim in victims for n in range(1, victim.acknowledged + 1)}


def _counted(records: list[Any]) -> dict[str, tuple[int, list[int], list[int]]]:
    numbers: dict[str, list[int]] = {}
    for record in records:
        numbers.setdefault(record.writer, []).append(record.seq)
    return {
        writer: (
            len(found),
            sorted(set(range(1, max(found) + 1)) - set(found)),
            sorted(number for number, count in Counter(found).items() if count > 1),
        )
        for writer, found in numbers.items()
    }
