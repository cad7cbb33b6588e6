"""Do a real job and record it with the real client, the way anybody's agent would: what `telemetry demo` runs."""
