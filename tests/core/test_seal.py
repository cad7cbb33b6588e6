"""Hold back all that an agent said when the processor that might have hidden some of it fails."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry import hookimpl

HUSH = "hush-hush"


class Failing:
    """Fail at every record."""

    @hookimpl
    def telemetry_process(self, record: Any) -> Any:
        raise KeyError("what it would have hidden")


def test_no_text_of_the_agents_passes_a_processor_that_fails(client, sink):
    """Of runs, events, metrics and commits only ids, times and figures are kept, with the reason for it."""
    client._bus.register("failing", Failing())
    run_id = client.start_run(
        f"agent {HUSH}",
        f"job {HUSH}",
        run_id="20260101T000000Z-crawler-00000000",
        host=HUSH,
        agent_owner=HUSH,
        product=HUSH,
        git_repo=HUSH,
        unknown=HUSH,
    )
    client.log_event(run_id, f"event {HUSH}", {"a": HUSH})
    client.set_metrics(run_id, insight_id=HUSH, note=HUSH)
    client.associate_commit(run_id, "9fceb02", author=HUSH, message=HUSH, repo=HUSH, branch=HUSH, agent_name=HUSH)
    client.end_run(run_id, "partial", error_summary=HUSH, items_failed=3)

    assert 5 == len(sink.records)
    assert HUSH not in "".join(repr(vars(record) if hasattr(record, "__dict__") else record) for record in sink.records)
    start, end = sink.runs
    assert ("crawler", run_id, "partial", 3) == (end.agent_name, end.run_id, end.status, end.items_failed)
    assert start.start_time == end.start_time
    assert "withheld" == sink.events[0].event_type
    assert "processor failing failed: KeyError" == sink.events[0].payload["_withheld"]


@pytest.mark.parametrize("answer", [7, "text", {"a": 1}])
def test_a_processor_that_returns_no_record_has_failed(client, sink, answer):
    """What it gives back in a record's place is no record, and nothing of the agent's passes."""

    class Odd:
        @hookimpl
        def telemetry_process(self) -> Any:
            return answer

    client._bus.register("odd", Odd())
    client.log_event("r", "event", HUSH)

    assert f"processor odd failed: returned {type(answer).__name__}" == sink.events[0].payload["_withheld"]
