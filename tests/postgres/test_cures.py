"""Prove that what a server says of a set-up that is not right comes with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

from postgres_server import Server

from telemetry.plugins import RunRecord
from telemetry.sinks.postgres.cures import cure_of

Runs = Callable[..., RunRecord]
Rows = Callable[..., list[Any]]


@pytest.fixture
def blocked(server: Server, url: str, rows: Rows) -> Iterator[Callable[[], None]]:
    """Return a function that locks the table of runs against writers, until the end."""
    import psycopg

    with psycopg.connect(url) as connection:
        yield lambda: connection.execute("LOCK TABLE agent_runs IN EXCLUSIVE MODE")
        connection.rollback()


def test_a_database_that_is_not_there(server: Server, new_host: Callable[..., Any], a_run: Runs):
    """Named is how to make one that holds every text."""
    host = new_host(url=server.uri("nowhere"))
    host.write(a_run())

    assert "CREATE DATABASE" in host.refusal().partition('"nowhere" does not exist')[2]


def test_more_connections_than_the_server_takes(server: Server, url: str, rows: Rows, new_host: Any, a_run: Runs):
    """What a fleet meets first when it grows."""
    rows("CREATE ROLE crowded LOGIN PASSWORD 'word' CONNECTION LIMIT 0")
    host = new_host(url=url.replace(url[len("postgresql://") : url.index("@")], "crowded:word"))
    host.write(a_run())

    assert "pooler" in host.refusal().partition("too many connections")[2]
    rows("DROP ROLE crowded")


def test_a_statement_that_takes_too_long(blocked: Callable[[], None], new_host: Callable[..., Any], a_run: Runs):
    """Another program holds the table; the record is not at fault, and waits."""
    host = new_host(timeout_s=0.3)
    assert host.deliver(a_run("r1"))
    blocked()
    host.write(a_run("r2", seq=2))

    assert "timeout_s" in host.refusal().partition("due to statement timeout")[2]


ELSEWHERE = [
    ('FATAL: no pg_hba.conf entry for host "10.0.0.7", user "agent", database "hq", no encryption', "sslmode"),
    ("SSL error: tlsv1 alert unknown ca", "sslcert"),
    ("FATAL: unsupported startup parameter: options", "ALTER ROLE"),
    ("failed to resolve host 'hq.example': [Errno -2] Name or service not known", "name of the host"),
    ("connection timeout expired", "firewall"),
    ("FATAL: sorry, too many clients already", "pooler"),
    ("ERROR: canceling statement due to user request", ""),
]


@pytest.mark.parametrize(("said", "cure"), ELSEWHERE)
def test_what_the_server_of_these_tests_cannot_say(said: str, cure: str):
    """It has neither TLS nor a pooler in front of it; the words are those of PostgreSQL 16 and PgBouncer 1.18."""
    told = cure_of(said, None)

    assert cure in told
    assert bool(cure) == bool(told)
