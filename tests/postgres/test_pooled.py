"""Prove that a pooler may lend a connection on after each transaction: nothing of ours stays with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

import psycopg

from telemetry.plugins import RunQuery, RunRecord
from telemetry.plugins.item import Item
from telemetry.sinks.postgres.connection import bounded, opened
from telemetry.sinks.postgres.options import Access
from telemetry.sinks.postgres.store import PostgresStore
from telemetry.sinks.postgres.writer import Writer

Runs = Callable[..., RunRecord]
_LEFT = "SELECT name, setting FROM pg_settings WHERE source = 'session'"


def test_a_writer_and_a_reader_leave_a_connection_as_it_was(url: str, a_run: Runs):
    """Whoever gets it next could not write, or would lose its statements to a limit that is not its own."""
    access = Access(url=url, timeout_s=7)
    writer, store = Writer(access), PostgresStore(access)
    writer.write([Item("k1", a_run())])
    assert ["r1"] == [run.run_id for run in store.runs(RunQuery())]

    assert [[], []] == [each._opened().execute(_LEFT).fetchall() for each in (writer, store)]
    writer.close()
    store.close()


@pytest.mark.parametrize("timeout_s", [0.2, 0.0001])
def test_each_transaction_brings_its_own_limit(url: str, timeout_s: float):
    """It holds for the statements of one transaction; rounded to 0 it would be none."""
    access = Access(url=url, timeout_s=timeout_s)
    with opened(access) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled), bounded(connection, access):
            connection.execute("SELECT pg_sleep(60)")
        assert ("0",) == connection.execute("SHOW statement_timeout").fetchone()


@pytest.mark.parametrize(("timeout_s", "shown"), [(1.5, "1500ms"), (1e9, "2147483647ms")])
def test_every_limit_is_one_that_the_server_takes(url: str, timeout_s: float, shown: str):
    """A number that is too large would be an error at each transaction."""
    access = Access(url=url, timeout_s=timeout_s)
    with opened(access) as connection, bounded(connection, access):
        sql = "SELECT setting || unit FROM pg_settings WHERE name = 'statement_timeout'"
        assert (shown,) == connection.execute(sql).fetchone()


STRAYS = {"another's is there": "PREPARE _pg3_0 AS SELECT 1", "ours is not": "DEALLOCATE ALL"}


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)
def test_a_pooler_that_knows_no_prepared_statements(url: str, a_run: Runs, stray: str):
    """It lends a connection on, with what another client prepared there: from then on, nothing is prepared."""
    access = Access(url=url)
    writer, store = Writer(access), PostgresStore(access)
    numbers = iter(range(100))

    def work() -> list[str]:
        for number in (next(numbers), next(numbers)):
            writer.write([Item(f"k{number}", a_run(f"r{number}", seq=number))])
        return [run.run_id for _ in range(6) for run in store.runs(RunQuery(limit=1))]

    work()
    for each in (writer, store):
        each._opened().pgconn.exec_(stray.encode())

    assert ["r3"] * 6 == work()
    for each in (writer, store):
        each._opened().pgconn.exec_(stray.encode())
    assert ["r5"] * 6 == work()
    writer.close()
    store.close()
