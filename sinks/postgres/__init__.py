"""Bring the records of a fleet into one PostgreSQL, each exactly once, and read them there."""
