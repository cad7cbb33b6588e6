"""A commit keeps its details, and every run that was linked with it."""

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from telemetry.plugins import CommitLink, InvalidRecord, decode_line, encode_line
from telemetry.sinks.sqlite.commits import COMMIT_COLUMNS, commits_of, save_commit
from telemetry.sinks.sqlite.connection import Database

LINK = CommitLink(
    run_id="r1",
    timestamp="2026-11-23T10:00:00+00:00",
    commit_hash="abc",
    agent_name="crawler",
    repo="https://example.org/repo.git",
    branch="main",
    commit_date="2026-11-23T09:00:00+00:00",
    author="Ada <ada@example.org>",
    message="first: line\n\nbody",
    files_changed=3,
    insertions=20,
    deletions=1,
    writer="aaaaaaaaaaaa",
    seq=7,
)


def save(database: Database, *links: CommitLink) -> None:
    """Save each link in a transaction of its own."""
    for link in links:
        with database.writing(1.0) as opened:
            save_commit(opened.connection, link)


def kept(database: Database, run_id: str) -> list[dict[str, Any]]:
    """Return the commits of a run."""
    with database.reading() as opened:
        return commits_of(opened.connection, run_id)


def test_every_detail_stands_in_its_column(database: Database, rows: Callable[..., list[Any]]) -> None:
    """The row is what was linked; saving it again changes nothing."""
    save(database, LINK, LINK)

    (row,) = rows(f"SELECT {', '.join(COMMIT_COLUMNS)} FROM commits")
    assert tuple(getattr(LINK, name) for name in COMMIT_COLUMNS) == row
    assert [("r1", "abc")] == rows("SELECT run_id, commit_hash FROM run_commits")


def test_two_runs_at_one_commit_both_keep_it(database: Database, rows: Callable[..., list[Any]]) -> None:
    """The table has room for one run a commit; the links have room for all."""
    save(database, LINK, attrs.evolve(LINK, run_id="r2", message=None))

    assert [("r2", "first: line\n\nbody")] == rows("SELECT run_id, message FROM commits")
    assert ["r1", "r2"] == [commit["run_id"] for run_id in ("r1", "r2") for commit in kept(database, run_id)]
    assert ["abc", "abc"] == [commit["commit_hash"] for run_id in ("r1", "r2") for commit in kept(database, run_id)]


def test_a_link_of_another_tool_is_kept_when_ours_takes_its_row(database: Database) -> None:
    """What stood in `commits` before stays a link."""
    with database.writing(1.0) as opened:
        opened.connection.execute("INSERT INTO commits (commit_hash, run_id) VALUES ('abc', 'theirs')")

    save(database, LINK)

    assert [1, 1] == [len(kept(database, run_id)) for run_id in ("theirs", "r1")]


def test_what_is_not_known_overwrites_nothing(database: Database) -> None:
    """A later link with the bare hash keeps the details of the first."""
    save(database, LINK, CommitLink(run_id="r1", timestamp="t", commit_hash="abc"))

    (commit,) = kept(database, "r1")
    assert ("main", 3, "Ada <ada@example.org>") == (commit["branch"], commit["files_changed"], commit["author"])


def test_the_commits_of_a_run_come_oldest_first(database: Database) -> None:
    """By the date of the commit, whatever the order of the links."""
    dates = {"c": "2026-03-01", "a": "2026-01-01", "b": "2026-02-01"}
    save(database, *(attrs.evolve(LINK, commit_hash=name, commit_date=date) for name, date in dates.items()))

    assert ["a", "b", "c"] == [commit["commit_hash"] for commit in kept(database, "r1")]
    assert [] == kept(database, "nobody")


@pytest.mark.parametrize(
    "script",
    ["", "CREATE TABLE commits (commit_hash, run_id, commit_date); INSERT INTO commits VALUES ('abc', 'r1', 'd')"],
)
def test_a_store_that_may_only_be_read_answers_with_what_it_has(script: str) -> None:
    """An old file without `commits`, or without our links beside it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)

        found = commits_of(connection, "r1")

    assert [] == found if not script else [("abc", "r1")] == [(c["commit_hash"], c["run_id"]) for c in found]


def test_a_link_is_a_line_of_the_journal() -> None:
    """It reads back equal, with what was coerced on the way."""
    link = attrs.evolve(LINK, coerced=("message",))

    assert link == decode_line(encode_line(link))
    assert encode_line(link).startswith(b'{"record_type":"commit","run_id":"r1"')


def test_a_damaged_link_is_mended() -> None:
    """Wrong types become text or nothing; without a hash there is no link."""
    line = b'{"record_type": "commit", "run_id": "r", "commit_hash": 5, "message": ["a"], "insertions": "many"}'

    link = decode_line(line)

    assert CommitLink(run_id="r", timestamp="unknown", commit_hash="5", message="['a']") == link
    with pytest.raises(InvalidRecord, match="commit_hash"):
        decode_line(b'{"record_type": "commit", "run_id": "r"}')
