"""Tell an OpenTelemetry backend of runs and events; the sink is in `sink`, and imports OpenTelemetry only to send."""
