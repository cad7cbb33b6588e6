"""Read by `mypy --strict` in `tox -e typing`, never run: what users write, with the types they see."""

from typing import assert_type

import telemetry
from telemetry import (
    RunContext,
    TelemetryClient,
    TelemetryConfig,
    calculate_duration_ms,
    generate_run_id,
    get_iso8601_timestamp,
)

client = TelemetryClient()
run_id = client.start_run("crawler", "nightly", items_discovered=3)
assert_type(run_id, str)
client.log_event(run_id, "page", {"url": "https://example.org", "ok": True})
client.set_metrics(run_id, items_succeeded=2, tokens_in=100)
client.end_run(run_id, status="success")

with client.track_run("crawler", "nightly") as run:
    assert_type(run, RunContext)
    assert_type(run.run_id, str)
    run.log_event("page")
    run.set_metrics(items_succeeded=1)
    run.set_metrics({"loss": 0.5}, epoch=1)
    with run.tool("search", query="weather"), run.child("part") as part:
        assert_type(part, RunContext)
    # Made to fit when it runs; a checker names the slip before.
    run.log_event("page", url="https://example.org")  # type: ignore[call-arg]
    run.log_event()  # type: ignore[call-arg]
    run.set_metrics(5)  # type: ignore[arg-type]

assert_type(TelemetryConfig.from_env(), TelemetryConfig)
assert_type(generate_run_id("crawler"), str)
assert_type(calculate_duration_ms(get_iso8601_timestamp(), get_iso8601_timestamp()), int)
assert_type(telemetry.__version__, str)

# A face that is lazy for type checkers too would accept any name; then this ignore would be unused.
telemetry.TelemetryCleint  # type: ignore[attr-defined]  # noqa: B018
