"""Hold the concrete sinks; each owns its lock and its retry policy and none knows another."""
