"""Try every small history of two processes under one run id: whatever is written first, the journal's order decides."""

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from functools import reduce

import attrs
import pytest

from telemetry.plugins import RunRecord, fold
from telemetry.sinks.sqlite.migrate import prepare
from telemetry.sinks.sqlite.run_lines import store_run_lines
from telemetry.sinks.sqlite.shapes import Shape, inspect
from telemetry.sinks.sqlite.writes import load_run, write_run

pytestmark = pytest.mark.once

History = tuple[RunRecord, ...]
SHARED = "20261128T100000Z-crawler-00000001"  # as generate_run_id() makes them; a driver may hand it to all its workers


def a_start(writer: str, **fields: object) -> RunRecord:
    """Return the start that *writer* writes."""
    return RunRecord(
        run_id=SHARED,
        agent_name=f"agent {writer}",
        start_time=f"2026-11-28T10:00:0{'ab'.index(writer)}+00:00",
        job_type="crawl",
        writer=writer,
        attributes={"by": writer, f"only {writer}": 1},
        product=f"product {writer}",
        **fields,
    )


def an_end(writer: str, **fields: object) -> RunRecord:
    """Return the end that *writer* writes; as the client's, it says again what the start said, and more."""
    start = a_start(writer, status="success" if writer == "a" else "failed", duration_ms=9000, **fields)
    end_time = f"2026-11-28T10:00:1{'ab'.index(writer)}+00:00"
    return attrs.evolve(start, end_time=end_time, attributes={**start.attributes, "ended": writer})


LINES = (a_start("a"), an_end("a"), a_start("b"), an_end("b"))


def histories(length: int) -> Iterator[History]:
    """Yield every order of *length* of these lines; each writer counts its own."""
    for lines in itertools.permutations(LINES, length):
        counts = {"a": itertools.count(1), "b": itertools.count(1)}
        yield tuple(attrs.evolve(line, seq=next(counts[str(line.writer)])) for line in lines)


def subsets(lines: Sequence[RunRecord]) -> Iterator[History]:
    """Yield every choice of *lines*, in order."""
    for count in range(len(lines) + 1):
        yield from itertools.combinations(lines, count)


@pytest.fixture
def store(tmp_path) -> Iterator[tuple[sqlite3.Connection, Shape]]:
    """Return an empty store in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, tmp_path / "memory.sqlite")
    yield connection, inspect(connection)
    connection.close()


@pytest.mark.parametrize("length", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_the_journal_decides(store, length):
    """
    The row is the fold of the journal's lines, whichever of them were written to the store directly before.

    Some lines are written directly, the journal is read up to some line; then the same again up to its end.
    """
    for history in histories(length):
        expected = told(reduce(fold, history, None))
        for cut in range(length + 1):
            for first, second in itertools.product(subsets(history), subsets(history[cut:])):
                row = told(row_after(store, history, first, cut, second))
                assert expected == row, (history, first, cut, second)


def row_after(
    store: tuple[sqlite3.Connection, Shape], history: History, first: History, cut: int, second: History
) -> RunRecord | None:
    """Return the row that this order of events leaves."""
    connection, shape = store
    connection.execute("BEGIN")
    try:
        for direct, read in ((first, history[:cut]), (second, history[cut:])):
            for line in direct:
                write_run(connection, shape, line, is_journaled=True)
            store_run_lines(connection, shape, read)
        return load_run(connection, shape, SHARED)
    finally:
        connection.execute("ROLLBACK")


def told(run: RunRecord | None) -> dict[str, object]:
    """Return what *run* says, without what a database keeps for itself."""
    assert run is not None
    return {**run.to_dict(), "created_at": None, "updated_at": None}
