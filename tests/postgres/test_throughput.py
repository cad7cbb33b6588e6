"""Measure how many events a second one host can bring into PostgreSQL."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")


from telemetry.plugins import RunEvent, RunRecord, encode_line

_EVENTS = 100_000
_LEAST_A_SECOND = 20_000
_LEAST_ON_A_BUSY_MACHINE = 1_000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="counts the server's work by /proc")
def test_events_arrive_at_twenty_thousand_a_second(
    postgres_server: Any, new_host: Callable[..., Any], rows: Callable[..., list[Any]], a_run: Callable[..., RunRecord]
):
    """
    100,000 events of 1,000 runs, by the work that they make.

    Host and server work in turns, so that the processor time of both is what a machine with nothing else to do takes;
    the time that passes also tells what others do on it.
    """
    host = new_host()
    host.write_lines(*_lines(a_run))
    sink = host.open(connect={"application_name": "measured"})
    start, own = time.perf_counter(), time.process_time()

    assert sink.telemetry_flush(110)
    elapsed_s, own_s = time.perf_counter() - start, time.process_time() - own
    [(pid,)] = rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'measured'")

    assert [(_EVENTS,)] == rows("SELECT count(*) FROM run_events")
    assert _EVENTS / (own_s + _worked_s(pid)) >= _LEAST_A_SECOND
    assert _EVENTS / elapsed_s >= _LEAST_ON_A_BUSY_MACHINE


def _worked_s(pid: int) -> float:
    """Return the processor time of another process so far, in seconds."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _lines(a_run: Callable[..., RunRecord]) -> list[bytes]:
    moment = "2026-11-23T10:00:00.123456+00:00"
    lines = []
    for number in range(_EVENTS):
        run_id = f"20261123T100000Z-crawler-{number // 100:08x}"
        if number % 100 == 0:
            lines.append(encode_line(a_run(run_id, writer="w", seq=1_000_000 + number)))
        payload = {"url": f"https://example.org/{number}", "tokens": number, "ok": True, "note": "some text here"}
        lines.append(encode_line(RunEvent(run_id, "step", moment, payload, "w", number)))
    return lines
