"""Whatever an agent calls itself, its run is kept, and no name leads out of the base directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry import TelemetryClient

NAMES = [
    "../../../../tmp/evil",
    "..",
    ".",
    "/etc/passwd",
    "C:\\Windows\\system32",
    "nul\x00byte",
    "two\nlines\r\n",
    "tab\tand\x1b[31mcolour",
    "🤖 agent 日本語",
    "\ud800 lone surrogate",
    "x" * 10_000,
    "Robert'); DROP TABLE agent_runs;--",
    '{"record_type":"run","run_id":"fake"}',
    " ",
    "",
    None,
    5,
    float("nan"),
    b"bytes",
    ["list"],
    object(),
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:30].encode("ascii", "replace").decode())
def test_a_run_of_any_name_is_kept(tmp_path, name):
    """Start, event, metrics and end under the name, as agent, job, event type and run id; then read it back."""
    base_dir = tmp_path / "inner" / "base"
    before = _files(tmp_path, base_dir)

    with TelemetryClient(base_dir=base_dir) as client:
        run_id = client.start_run(name, name, product=name)
        client.log_event(run_id, name, {"name": name})
        client.set_metrics(run_id, product=name)
        client.end_run(run_id, output_summary=name)
        own_id = client.start_run("agent", "job", run_id=name)
        client.end_run(own_id)
        run, named, events = client.get_run(run_id), client.get_run(own_id), list(client.events(run_id))
        total = client.get_stats()["total_runs"]

    assert run is not None
    assert named is not None
    assert (2, "success", "success", 1) == (total, run.status, named.status, len(events))
    assert before == _files(tmp_path, base_dir)


def _files(root: Path, base_dir: Path) -> set[Path]:
    """Return what lies under *root* and outside of *base_dir*."""
    return {path for path in root.rglob("*") if path.is_file() and base_dir not in path.parents}
