"""Look for what is wrong with the telemetry itself; nothing here is imported by agents."""
