"""A record keeps its idempotency key, whoever computes it, and no other record has it."""

import subprocess
import sys

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import MetricsUpdate, RunEvent, RunRecord, decode_line, encode_line
from telemetry.sinks.delivery.item import key_of

names = st.text(min_size=1, max_size=20)
IN_ANOTHER_PROCESS = """
from telemetry.plugins import RunRecord
from telemetry.sinks.delivery.item import key_of
print(key_of(RunRecord(run_id="r", agent_name="a", start_time="t", writer="w", seq=7)))
"""


@given(st.sets(st.tuples(names, names, st.integers(1, 10**9)), min_size=2, max_size=5))
def test_different_lines_have_different_keys(lines):
    """Run, writer and number together name a line."""
    keys = {key_of(RunEvent(run, "e", "t", None, writer, seq)) for run, writer, seq in lines}

    assert len(lines) == len(keys)


def test_a_key_is_the_same_in_every_process():
    """Nothing of this process (hash seed, time, pid) is in it."""
    run = RunRecord(run_id="r", agent_name="a", start_time="t", writer="w", seq=7)

    told = subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS], capture_output=True, text=True, check=True).stdout

    assert told.strip() == key_of(run)


def test_completing_a_record_does_not_change_its_key():
    """What is filled in from other lines may differ; the line is the same."""
    bare = RunRecord(run_id="r", agent_name="unknown", start_time="t", writer="w", seq=7)

    assert key_of(bare) == key_of(evolve(bare, agent_name="crawler", job_type="crawl"))


def test_lines_of_earlier_writers_have_keys_by_their_text():
    """They carry no writer: the same line gives the same key, another line another one."""
    first = RunRecord(run_id="r", agent_name="a", start_time="t", status="success")
    again = decode_line(encode_line(first))
    other = evolve(first, items_failed=1)

    assert key_of(first) == key_of(again)
    assert key_of(first) != key_of(other)


def test_a_metrics_line_of_one_run_has_a_key_of_its_own():
    """Lines of every kind are told apart by their number."""
    update = MetricsUpdate("r", "t", {"a": 1}, {}, "w", 8)

    assert key_of(update) != key_of(RunEvent("r", "e", "t", None, "w", 9))
