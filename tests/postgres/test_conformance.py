"""The sink keeps the contract that we hold others to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

import psycopg

from telemetry.plugins import RetryPolicy
from telemetry.sinks.postgres.sink import PostgresSink
from telemetry.testing import SinkConformance


@pytest.mark.slow
class TestPostgres(SinkConformance):
    """Each base directory has a schema of its own in one database; 112 tests, 16 seconds."""

    server_url: str

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.server_url = postgres_url

    def make_sink(self, tmp_path: Path) -> Any:
        """Return one that delivers to the schema of this directory."""
        schema = f"of_{hashlib.blake2b(bytes(tmp_path), digest_size=8).hexdigest()}"
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        url = f"{self.server_url}{'&' if '?' in self.server_url else '?'}options=-csearch_path%3D{schema}"
        return PostgresSink(PostgresSink.Options(url=url, retry=RetryPolicy((0.05,))))
